import { Group, Paper, Text, Title } from '@mantine/core'
import { useId, type ReactNode } from 'react'

interface Props {
  title: string
  note?: ReactNode
  actions?: ReactNode
  children: ReactNode
  flush?: boolean
}

/** A titled box. `flush` lets a table reach its edges. */
export function Panel({ title, note, actions, children, flush = false }: Props) {
  const id = useId()
  return (
    <Paper component="section" aria-labelledby={id} className="panel">
      <Group justify="space-between" gap="xs" px="md" pt="sm" pb={flush ? 'xs' : 0} wrap="wrap">
        <div>
          <Title order={2} id={id}>
            {title}
          </Title>
          {note && (
            <Text size="xs" c="dimmed" component="div">
              {note}
            </Text>
          )}
        </div>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      <div className={flush ? undefined : 'panel-body'}>{children}</div>
    </Paper>
  )
}
