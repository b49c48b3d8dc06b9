import { Skeleton, Stack } from '@mantine/core'
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'

import { ProblemAlert } from './ProblemAlert'

interface Props<T> {
  query: UseQueryResult<T>
  /** Height of the placeholder while loading, in px. */
  height?: number
  lines?: number
  isEmpty?: (data: T) => boolean
  empty?: ReactNode
  children: (data: T) => ReactNode
}

/** The four states of anything read from the server: loading, failed, empty, there. */
export function QueryView<T>({ query, height = 120, lines = 1, isEmpty, empty, children }: Props<T>) {
  if (query.data !== undefined) {
    if (isEmpty?.(query.data) && empty) return empty
    return (
      <>
        {query.isError && <ProblemAlert error={query.error} onRetry={() => void query.refetch()} stale />}
        {children(query.data)}
      </>
    )
  }
  if (query.isError) return <ProblemAlert error={query.error} onRetry={() => void query.refetch()} />
  return (
    <Stack gap="xs" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} height={height / lines} radius="md" />
      ))}
    </Stack>
  )
}
