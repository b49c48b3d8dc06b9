import { AppShell, Badge, Box, Burger, Group, NavLink, ScrollArea, Text, Tooltip } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import {
  IconArrowsExchange,
  IconChartHistogram,
  IconFileUpload,
  IconHome2,
  IconInbox,
  IconReportMoney,
  IconRobot,
  IconTargetArrow,
} from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import { useEffect, type CSSProperties } from 'react'

import { api, unwrap } from '../api/client'
import { listen, useLiveStatus, type LiveStatus } from '../api/live'
import { SIGNED_OUT } from '../api/query-client'
import { useMe } from '../api/session'
import { DemoBanner } from '../features/demo/DemoBanner'
import { UserMenu } from '../features/session/UserMenu'

const PLACES = [
  { to: '/', text: 'Overview', icon: IconHome2 },
  { to: '/recommendations', text: 'Inbox', icon: IconInbox },
  { to: '/agents', text: 'Agents', icon: IconRobot },
  { to: '/plans', text: 'Plans', icon: IconReportMoney },
  { to: '/plans/what-if', text: 'What-if', icon: IconChartHistogram },
  { to: '/synergies', text: 'Synergies', icon: IconArrowsExchange },
  { to: '/gaps', text: 'Gaps and rivals', icon: IconTargetArrow },
  { to: '/imports', text: 'Imports', icon: IconFileUpload },
] as const

const LIVE: Record<LiveStatus, { text: string; color: string; help: string }> = {
  live: { text: 'Live', color: 'green', help: 'Changes show up as they happen.' },
  connecting: { text: 'Connecting', color: 'yellow', help: 'The live connection is being made; the page also asks by itself.' },
  offline: { text: 'Not live', color: 'gray', help: 'Live updates are away; the page asks by itself every few seconds.' },
}

/** Header, navigation and the screen. */
export function Shell() {
  const [opened, { toggle, close }] = useDisclosure()
  const client = useQueryClient()
  const navigate = useNavigate()
  const me = useMe()
  const path = useRouterState({ select: (state) => state.location.pathname })
  const portfolio = useQuery({ queryKey: ['portfolio'], queryFn: async () => unwrap(api.GET('/portfolio')) })
  const open = portfolio.data?.open_recommendations
  const live = LIVE[useLiveStatus()]

  useEffect(() => listen(client), [client])

  useEffect(() => {
    const leave = () => {
      const next = globalThis.location.pathname + globalThis.location.search
      client.removeQueries({ queryKey: ['session'] })
      void navigate({ to: '/sign-in', search: next === '/' ? {} : { next } })
    }
    globalThis.addEventListener(SIGNED_OUT, leave)
    return () => globalThis.removeEventListener(SIGNED_OUT, leave)
  }, [client, navigate])

  const current = PLACES.map((place) => place.to)
    .filter((to) => (to === '/' ? path === '/' : path === to || path.startsWith(`${to}/`)))
    .toSorted((a, b) => b.length - a.length)[0]

  return (
    <AppShell header={{ height: 52 }} navbar={{ width: 204, breakpoint: 'sm', collapsed: { mobile: !opened } }} padding="md">
      <AppShell.Header>
        <a className="skip-link" href="#content">
          Skip to content
        </a>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap" gap="xs">
          <Group gap="xs" wrap="nowrap" miw={0}>
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={opened ? 'Close navigation' : 'Open navigation'} />
            <Link to="/" className="wordmark">
              <img src="/favicon.svg" alt="" width={24} height={24} />
              <span>Digi-Cadence</span>
            </Link>
            <Text size="sm" c="dimmed" truncate visibleFrom="xs">
              {me?.organisation.name}
            </Text>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Tooltip label={live.help}>
              <Box component="span" className="live" visibleFrom="xs" tabIndex={0} style={{ '--dot': `var(--mantine-color-${live.color}-6)` } as CSSProperties}>
                {live.text}
              </Box>
            </Tooltip>
            <UserMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Main">
        <ScrollArea>
          {PLACES.map(({ to, text, icon: Icon }) => (
            <NavLink
              key={to}
              component={Link}
              to={to}
              activeOptions={{ exact: true }}
              label={text}
              active={to === current}
              aria-current={to === current ? 'page' : undefined}
              leftSection={<Icon size={18} stroke={1.6} aria-hidden />}
              rightSection={
                to === '/recommendations' && open ? (
                  <Badge size="sm" variant="filled" circle={open < 10} aria-label={`${open} open recommendations`}>
                    {open}
                  </Badge>
                ) : undefined
              }
              onClick={close}
              className="nav-link"
            />
          ))}
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <DemoBanner />
        <Outlet />
      </AppShell.Main>
    </AppShell>
  )
}
