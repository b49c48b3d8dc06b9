/** Reading recommendations and deciding on them. */
import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'

import { answer, api, etagOf, idempotencyKey, unwrap } from '../../api/client'
import type { Action, Recommendation, RecommendationDetail } from '../../api/types'
import { VIEWS, type InboxSearch } from '../../lib/inbox-search'

/** What the server answers to every look and decision, with what the next decision must name. */
export interface Opened {
  detail: RecommendationDetail
  etag: string
  serverTime: Date | null
}

export const inboxQuery = (search: InboxSearch) =>
  infiniteQueryOptions({
    queryKey: ['recommendations', 'list', search.view ?? 'open', search.kind ?? '', search.agent ?? '', search.brand ?? ''],
    initialPageParam: '',
    queryFn: async ({ pageParam }) =>
      unwrap(
        api.GET('/recommendations', {
          params: {
            query: {
              state: VIEWS[search.view ?? 'open'].states,
              kind: search.kind,
              agent: search.agent,
              brand_id: search.brand,
              limit: 50,
              cursor: pageParam || undefined,
            },
          },
        }),
      ),
    getNextPageParam: (page) => (page.has_more ? (page.next_cursor ?? undefined) : undefined),
    refetchInterval: 20_000,
  })

export function detailKey(id: string) {
  return ['recommendations', 'detail', id] as const
}

const path = (id: string) => ({ recommendation_id: id })

async function opened(request: Parameters<typeof answer<RecommendationDetail>>[0]): Promise<Opened> {
  const { body, etag, serverTime } = await answer(request)
  return { detail: body, etag: etag ?? etagOf(body.recommendation.version), serverTime }
}

export const detailQuery = (id: string) =>
  queryOptions({
    queryKey: detailKey(id),
    queryFn: async () => opened(api.GET('/recommendations/{recommendation_id}', { params: { path: path(id) } })),
    staleTime: 5000,
    refetchInterval: (query) => {
      const state = query.state.data?.detail.recommendation.state
      return state === 'approved' || state === 'applying' ? 3000 : 30_000
    },
  })

export type Decision =
  | { type: 'open' }
  | { type: 'approve'; action?: Action; note?: string }
  | { type: 'reject'; reason: 'not_now' | 'wrong_data' | 'not_feasible' | 'disagree' | 'other'; comment?: string }
  | { type: 'snooze'; until: string }
  | { type: 'undo' }
  | { type: 'rollback'; reason: string }

/** Carries out one decision on what is on screen: the version and the action's hash the person looked at. */
export async function decide(seen: Opened, decision: Decision): Promise<Opened> {
  const { id, action_hash } = seen.detail.recommendation
  const header = { 'Idempotency-Key': idempotencyKey() }
  const guarded = { ...header, 'If-Match': seen.etag }
  switch (decision.type) {
    case 'open':
      return opened(api.POST('/recommendations/{recommendation_id}/open', { params: { path: path(id), header } }))
    case 'approve':
      return opened(
        api.POST('/recommendations/{recommendation_id}/approve', {
          params: { path: path(id), header: guarded },
          body: { action_hash, action: decision.action, note: decision.note },
        }),
      )
    case 'reject':
      return opened(
        api.POST('/recommendations/{recommendation_id}/reject', {
          params: { path: path(id), header: guarded },
          body: { reason: decision.reason, comment: decision.comment },
        }),
      )
    case 'snooze':
      return opened(
        api.POST('/recommendations/{recommendation_id}/snooze', { params: { path: path(id), header: guarded }, body: { until: decision.until } }),
      )
    case 'undo':
      return opened(api.POST('/recommendations/{recommendation_id}/undo', { params: { path: path(id), header } }))
    case 'rollback':
      return opened(
        api.POST('/recommendations/{recommendation_id}/rollback', { params: { path: path(id), header }, body: { reason: decision.reason } }),
      )
    default:
      return decision satisfies never
  }
}

export function useDecide() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ seen, decision }: { seen: Opened; decision: Decision }) => decide(seen, decision),
    // The lists are read again without waiting: until they are here a person may already have pressed U.
    onSuccess: (next) => {
      client.setQueryData(detailKey(next.detail.recommendation.id), next)
      void client.invalidateQueries({ queryKey: ['recommendations', 'list'] })
      void client.invalidateQueries({ queryKey: ['portfolio'] })
    },
  })
}

/** Seconds in which a decision can still be taken back: what the server says, by the server's clock, else
 * `UNDO_SECONDS` of domain/src/recommendation.rs. */
export function undoSeconds(next: Opened): number {
  const until = next.detail.undo_until ?? next.detail.recommendation.applies_at
  if (!until) return UNDO_SECONDS
  const left = (new Date(until).getTime() - (next.serverTime ?? new Date()).getTime()) / 1000
  return Math.min(UNDO_SECONDS, Math.max(0, left))
}

export const UNDO_SECONDS = 10

/** The rows of all pages so far, each once; what is snoozed stands after what waits. */
export function distinct(pages: { data: Recommendation[] }[]): Recommendation[] {
  const rows = [...new Map(pages.flatMap((page) => page.data).map((row) => [row.id, row])).values()]
  return rows.toSorted((a, b) => Number(a.state === 'snoozed') - Number(b.state === 'snoozed'))
}
