/** The effect of a hand-made plan, computed by the server from the stored fits while a person types. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useDebouncedValue } from '@mantine/hooks'

import { decimal, type EditLine } from '../lib/plan-lines'
import { api, unwrap } from './client'

export function useWhatIf(lines: EditLine[], weeks: number, enabled = true) {
  const body = lines.map((line) => ({ brand: line.brand, channel: line.channel, weekly: decimal(line.weekly) }))
  const [settled] = useDebouncedValue(JSON.stringify(body), 180)
  const query = useQuery({
    queryKey: ['plans', 'what-if', settled, weeks],
    enabled: enabled && body.length > 0,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    queryFn: async ({ signal }) => unwrap(api.POST('/plans/what-if', { body: { lines: JSON.parse(settled) as typeof body, weeks }, signal })),
  })
  return { ...query, isCatchingUp: query.isFetching || settled !== JSON.stringify(body) }
}
