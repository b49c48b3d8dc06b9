import { Paper, Text } from '@mantine/core'
import type { ReactNode } from 'react'

interface Props {
  label: string
  value: ReactNode
  detail?: ReactNode
}

/** One key figure. */
export function Stat({ label, value, detail }: Props) {
  return (
    <Paper px="md" py="sm" className="stat">
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text className="figure stat-value">{value}</Text>
      {detail && (
        <Text size="xs" c="dimmed" component="div">
          {detail}
        </Text>
      )}
    </Paper>
  )
}
