import { Stack, Text } from '@mantine/core'
import { IconInbox } from '@tabler/icons-react'
import type { ReactNode } from 'react'

interface Props {
  title: string
  children?: ReactNode
  action?: ReactNode
}

/** An empty place says why it is empty and what to do next. */
export function EmptyHint({ title, children, action }: Props) {
  return (
    <Stack align="center" gap={6} py="xl" px="md" ta="center">
      <IconInbox size={28} stroke={1.4} aria-hidden className="muted" />
      <Text fw={600}>{title}</Text>
      {children && (
        <Text size="sm" c="dimmed" maw={440} component="div">
          {children}
        </Text>
      )}
      {action}
    </Stack>
  )
}
