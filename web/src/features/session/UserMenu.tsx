import { ActionIcon, Avatar, Menu, Text, UnstyledButton, useComputedColorScheme, useMantineColorScheme } from '@mantine/core'
import { IconApi, IconLogout, IconMoon, IconSun } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'

import { api } from '../../api/client'
import { useMe } from '../../api/session'
import { words } from '../../lib/labels'
import { notifyProblem } from '../../ui/notify'

/** Colour scheme switch and the menu of the person who is signed in. */
export function UserMenu() {
  const me = useMe()
  const navigate = useNavigate()
  const client = useQueryClient()
  const { setColorScheme } = useMantineColorScheme()
  const dark = useComputedColorScheme('light') === 'dark'
  const signOut = useMutation({
    mutationFn: async () => api.DELETE('/session'),
    onSuccess: async () => {
      client.clear()
      await navigate({ to: '/sign-in', search: {} })
    },
    onError: notifyProblem,
  })
  const initials = (me?.user.name ?? '?')
    .split(' ')
    .map((part) => part.charAt(0))
    .join('')
    .slice(0, 2)
    .toUpperCase()
  return (
    <>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={dark ? 'Switch to the light colour scheme' : 'Switch to the dark colour scheme'}
        onClick={() => setColorScheme(dark ? 'light' : 'dark')}
      >
        {dark ? <IconSun size={18} aria-hidden /> : <IconMoon size={18} aria-hidden />}
      </ActionIcon>
      <Menu position="bottom-end" width={230} withArrow>
        <Menu.Target>
          <UnstyledButton aria-label={`${initials}: account of ${me?.user.name ?? 'you'}`}>
            <Avatar size={30} radius="xl" color="cadence" variant="filled">
              {initials}
            </Avatar>
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <div className="menu-head">
            <Text fw={600}>{me?.user.name}</Text>
            <Text size="xs" c="dimmed">
              {me?.user.email}
            </Text>
            <Text size="xs" c="dimmed">
              {me ? words(me.user.role) : ''} · version {me?.version}
            </Text>
          </div>
          <Menu.Divider />
          <Menu.Item component="a" href="/api/docs" leftSection={<IconApi size={16} aria-hidden />}>
            API reference
          </Menu.Item>
          <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={() => signOut.mutate()}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  )
}
