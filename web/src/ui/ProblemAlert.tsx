import { Alert, Button, Code, Group, List, Text } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'

import { ApiError, explain } from '../api/problem'

interface Props {
  error: unknown
  onRetry?: () => void
  /** The data below is an older answer. */
  stale?: boolean
}

/** An error as the server states it: what happened, what to do, and the code to quote. */
export function ProblemAlert({ error, onRetry, stale = false }: Props) {
  const { title, advice, code, trace } = explain(error)
  return (
    <Alert
      color={stale ? 'yellow' : 'red'}
      icon={<IconAlertTriangle aria-hidden />}
      title={stale ? 'This may be out of date' : title}
      role="alert"
      my="xs"
    >
      {stale && <Text size="sm">{title}</Text>}
      {advice && <Text size="sm">{advice}</Text>}
      {error instanceof ApiError && error.fields.length > 0 && (
        <List size="sm" mt={4}>
          {error.fields.map((field) => (
            <List.Item key={field.pointer}>
              <Code>{field.pointer}</Code> {field.detail}
            </List.Item>
          ))}
        </List>
      )}
      <Group gap="sm" mt="xs">
        {onRetry && (
          <Button variant="default" onClick={onRetry}>
            Try again
          </Button>
        )}
        {code && (
          <Text size="xs" c="dimmed">
            Code <a href={`/problems/${code}`}>{code}</a>
            {trace && <>, trace {trace}</>}
          </Text>
        )}
      </Group>
    </Alert>
  )
}
