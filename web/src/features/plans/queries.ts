import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'

import { api, idempotencyKey, unwrap } from '../../api/client'
import { ApiError } from '../../api/problem'
import type { Constraint, Plan } from '../../api/types'
import { decimal, type EditLine } from '../../lib/plan-lines'

/** The plan of record, or what is spent now carried on; null while there is neither. */
export const currentPlanQuery = queryOptions({
  queryKey: ['plans', 'current'],
  queryFn: async (): Promise<Plan | null> => {
    try {
      return await unwrap(api.GET('/plans/current'))
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null
      throw error
    }
  },
})

export const plansQuery = queryOptions({
  queryKey: ['plans', 'list'],
  queryFn: async (): Promise<Plan[]> => (await unwrap(api.GET('/plans', { params: { query: { limit: 100 } } }))).data,
})

export const planQuery = (id: string) =>
  queryOptions({
    queryKey: ['plans', id],
    queryFn: async (): Promise<Plan> => unwrap(api.GET('/plans/{plan_id}', { params: { path: { plan_id: id } } })),
  })

export const constraintsQuery = queryOptions({
  queryKey: ['constraints'],
  queryFn: async (): Promise<Constraint[]> => unwrap(api.GET('/constraints')),
})

export const curveQuery = (brand: string, channel: string) =>
  queryOptions({
    queryKey: ['responses', brand, channel],
    retry: false,
    queryFn: async () =>
      unwrap(api.GET('/responses/{brand_id}/{channel_id}/curve', { params: { path: { brand_id: brand, channel_id: channel } } })),
  })

export function useSaveDraft() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ name, weeks, lines }: { name: string; weeks: number; lines: EditLine[] }): Promise<Plan> =>
      unwrap(
        api.POST('/plans', {
          params: { header: { 'Idempotency-Key': idempotencyKey() } },
          body: { name, weeks, lines: lines.map((line) => ({ brand: line.brand, channel: line.channel, weekly: decimal(line.weekly) })) },
        }),
      ),
    onSuccess: async () => client.invalidateQueries({ queryKey: ['plans'] }),
  })
}

/** Plans everything but `keep` for the most profit at this weekly total. Nothing is stored. */
export function usePlanRest() {
  return useMutation({
    mutationFn: async ({ weeks, weekly, keep }: { weeks: number; weekly: number; keep: EditLine[] }): Promise<Plan> =>
      unwrap(
        api.POST('/plans/optimise', {
          body: { weeks, weekly_total: decimal(weekly), keep: keep.map((line) => ({ brand: line.brand, channel: line.channel, weekly: decimal(line.weekly) })) },
        }),
      ),
  })
}

/** Sends a draft to the inbox, where a person decides on it like on any agent's proposal. */
export function useSubmit() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (id: string) =>
      unwrap(api.POST('/plans/{plan_id}/submit', { params: { path: { plan_id: id }, header: { 'Idempotency-Key': idempotencyKey() } } })),
    onSuccess: async () => {
      await Promise.all([client.invalidateQueries({ queryKey: ['plans'] }), client.invalidateQueries({ queryKey: ['recommendations'] })])
    },
  })
}

/** The recommendation that a plan became: its id, or null while nobody submitted it. */
export const submissionQuery = (plan: string) =>
  queryOptions({
    queryKey: ['recommendations', 'of-plan', plan],
    queryFn: async (): Promise<string | null> => {
      const { data } = await unwrap(api.GET('/recommendations', { params: { query: { kind: 'budget_plan', limit: 200 } } }))
      return data.find((row) => row.action.kind === 'budget_plan' && row.action.plan === plan)?.id ?? null
    },
  })
