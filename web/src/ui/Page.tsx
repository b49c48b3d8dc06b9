import { Box, Group, Stack, Text, Title } from '@mantine/core'
import { useEffect, type ReactNode } from 'react'

interface Props {
  title: string
  subtitle?: ReactNode
  actions?: ReactNode
  children: ReactNode
}

/** The frame of every screen: one heading, what it is about, what can be done. */
export function Page({ title, subtitle, actions, children }: Props) {
  useEffect(() => {
    document.title = `${title} · Digi-Cadence`
  }, [title])
  return (
    <Stack gap="md" className="page">
      <Group justify="space-between" align="flex-end" gap="sm">
        <Box>
          <Title order={1}>{title}</Title>
          {subtitle && (
            <Text size="sm" c="dimmed" component="div">
              {subtitle}
            </Text>
          )}
        </Box>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  )
}
