import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'

import { api, idempotencyKey, unwrap } from '../../api/client'
import type { Agent, AgentKind, NodeState } from '../../api/types'
import { AGENTS, labelOf } from '../../lib/labels'
import { notifyDone, notifyProblem } from '../../ui/notify'

export const agentsQuery = queryOptions({
  queryKey: ['agents', 'list'],
  queryFn: async (): Promise<Agent[]> => unwrap(api.GET('/agents')),
  refetchInterval: 5000,
})

export const treeQuery = queryOptions({
  queryKey: ['agents', 'tree'],
  queryFn: async (): Promise<NodeState[]> => (await unwrap(api.GET('/agents/tree'))).nodes,
  refetchInterval: 2000,
})

export type Control = 'run' | 'pause' | 'resume'

/** Run now, pause, resume. */
export function useControl() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ agent, control }: { agent: AgentKind; control: Control }) => {
      const params = { params: { path: { agent }, header: { 'Idempotency-Key': idempotencyKey() } } }
      if (control === 'run') await unwrap(api.POST('/agents/{agent}/run', params))
      else if (control === 'pause') await unwrap(api.POST('/agents/{agent}/pause', params))
      else await unwrap(api.POST('/agents/{agent}/resume', params))
    },
    onSuccess: async (_, { agent, control }) => {
      const done = { run: 'A run was started', pause: 'Paused', resume: 'Resumed' }[control]
      notifyDone(done, `${labelOf(AGENTS, agent).text} agent`)
      await Promise.all([client.invalidateQueries({ queryKey: ['agents'] }), client.invalidateQueries({ queryKey: ['runs'] })])
    },
    onError: notifyProblem,
  })
}

/** Ends one actor; what its supervisor does then is seen in the tree. */
export function useRestart() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async (path: string) => {
      await unwrap(api.POST('/agents/tree/restart', { params: { header: { 'Idempotency-Key': idempotencyKey() } }, body: { path } }))
    },
    onSuccess: async (_, path) => {
      notifyDone('Restart asked for', path)
      await client.invalidateQueries({ queryKey: ['agents', 'tree'] })
    },
    onError: notifyProblem,
  })
}
