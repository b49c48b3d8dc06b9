import { Button, Group, Text, Tooltip } from '@mantine/core'
import { IconPlayerTrackNext } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'

import { api, idempotencyKey, unwrap } from '../../api/client'
import { ApiError } from '../../api/problem'
import { useForbidden, useMe } from '../../api/session'
import { day, weeks } from '../../lib/format'
import { notifyDone, notifyProblem } from '../../ui/notify'

/** In a demo the clock stands at the end of the data; here it is moved, and the simulated market answers. */
export function DemoBanner() {
  const me = useMe()
  const client = useQueryClient()
  const forbidden = useForbidden('demo_advance')
  const demo = useQuery({
    queryKey: ['demo'],
    enabled: me?.demo === true,
    queryFn: async () => {
      try {
        return await unwrap(api.GET('/demo'))
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null
        throw error
      }
    },
  })
  const advance = useMutation({
    mutationFn: async (count: number) =>
      unwrap(api.POST('/demo/advance', { params: { header: { 'Idempotency-Key': idempotencyKey() } }, body: { weeks: count } })),
    onSuccess: async (answer, count) => {
      notifyDone(`The demo moved on by ${weeks(count)}`, `It is now ${day(answer.as_of)}. New weeks are being imported and analysed.`)
      await client.invalidateQueries()
    },
    onError: notifyProblem,
  })
  if (!me?.demo || !demo.data?.enabled) return null
  return (
    <div className="demo-banner">
      <Text size="sm">
        <strong>Demo portfolio</strong> at {day(demo.data.as_of ?? me.organisation.as_of)}.{' '}
        <Text span size="sm" visibleFrom="md">
          The data come from a market simulation{demo.data.weeks_simulated ? `, ${weeks(demo.data.weeks_simulated)} so far` : ''}.
        </Text>
      </Text>
      <Group gap={6} wrap="nowrap">
        {[4, 12].map((count) => (
          <Tooltip key={count} label={forbidden ?? `Lets ${weeks(count)} of the simulated market happen under the plan of record.`}>
            <Button
              variant="default"
              size="compact-xs"
              leftSection={<IconPlayerTrackNext size={14} aria-hidden />}
              loading={advance.isPending && advance.variables === count}
              disabled={advance.isPending || forbidden !== null}
              onClick={() => advance.mutate(count)}
            >
              Advance {count} weeks
            </Button>
          </Tooltip>
        ))}
      </Group>
    </div>
  )
}
