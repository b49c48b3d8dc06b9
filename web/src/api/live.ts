/** Live updates: server-sent events only say that something changed; what is true is always read again. */
import { skipToken, useQuery, type QueryClient } from '@tanstack/react-query'
import { useSyncExternalStore } from 'react'

import { BASE } from './client'

/** Which cached answers a fact makes out of date. */
const CHANGES: Record<string, string[]> = {
  organisation_created: ['session', 'portfolio'],
  portfolio_changed: ['portfolio', 'brands', 'channels', 'metrics'],
  metrics_ingested: ['portfolio', 'timeline', 'imports'],
  data_corrected: ['portfolio', 'timeline'],
  scores_computed: ['portfolio', 'scores'],
  forecasts_computed: ['portfolio', 'timeline', 'forecasts'],
  fit_computed: ['responses', 'plans'],
  cross_effects_computed: ['synergies'],
  plan_changed: ['plans'],
  constraint_changed: ['constraints'],
  target_changed: ['targets'],
  recommendation_proposed: ['recommendations', 'portfolio', 'agents'],
  recommendation_changed: ['recommendations', 'portfolio', 'agents'],
  recommendation_approved: ['recommendations', 'portfolio', 'agents'],
  recommendation_rejected: ['recommendations', 'portfolio', 'agents'],
  recommendation_applied: ['recommendations', 'portfolio', 'agents', 'plans', 'constraints', 'timeline'],
  outcome_measured: ['recommendations', 'agents', 'outcomes'],
  run_changed: ['runs', 'agents'],
  schedule_changed: ['schedules', 'agents'],
  agent_changed: ['agents'],
  clock_advanced: ['session', 'demo', 'portfolio', 'timeline', 'scores', 'plans', 'recommendations', 'gaps', 'synergies'],
  user_changed: ['session'],
  progress: ['runs', 'imports'],
}

export type LiveStatus = 'connecting' | 'live' | 'offline'

let status: LiveStatus = 'connecting'
const watchers = new Set<() => void>()

function set(next: LiveStatus) {
  if (next === status) return
  status = next
  for (const watcher of watchers) watcher()
}

/** Whether this page hears of changes as they happen. */
export function useLiveStatus(): LiveStatus {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    () => status,
  )
}

/** How far a run has come. It is told while the run goes on and stored nowhere: the last word is kept here. */
export interface RunProgress {
  share: number
  note: string
}

const progressKey = (run: string) => ['run-progress', run] as const

/** What was last heard of a run, if anything. */
export function useRunProgress(run: string): RunProgress | undefined {
  return useQuery<RunProgress>({ queryKey: progressKey(run), queryFn: skipToken }).data
}

/** The run and its progress in the text of a `progress` event; null when it tells of something else. */
export function readProgress(text: string): { run: string; progress: RunProgress } | null {
  try {
    const { body } = JSON.parse(text) as { body?: { run?: unknown; progress?: unknown; note?: unknown } }
    if (typeof body?.run !== 'string' || typeof body.progress !== 'number') return null
    return { run: body.run, progress: { share: body.progress, note: typeof body.note === 'string' ? body.note : '' } }
  } catch {
    return null
  }
}

/** Gathers facts for a moment and reads each touched answer again once. Returns how to stop. */
export function listen(client: QueryClient): () => void {
  const due = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const source = new EventSource(`${BASE}/events`)
  source.addEventListener('open', () => set('live'))
  source.addEventListener('error', () => set(source.readyState === EventSource.CLOSED ? 'offline' : 'connecting'))
  source.addEventListener('progress', (event: MessageEvent<string>) => {
    const told = readProgress(event.data)
    if (told) client.setQueryData(progressKey(told.run), told.progress)
  })
  for (const [kind, keys] of Object.entries(CHANGES)) {
    source.addEventListener(kind, () => {
      for (const key of keys) due.add(key)
      timer ??= setTimeout(() => {
        timer = undefined
        const now = [...due]
        due.clear()
        for (const key of now) void client.invalidateQueries({ queryKey: [key] })
      }, 400)
    })
  }
  return () => {
    clearTimeout(timer)
    source.close()
    set('offline')
  }
}
