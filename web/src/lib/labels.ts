/** The words people read for the names of the contract. Colours only repeat what the words say. */
import type { Actor, AgentKind, AgentStatus, Band, Kind, Move, Reference, RunState, Section, State, Verdict } from '../api/types'
import { day } from './format'

export interface Label {
  text: string
  color: string
}

export const KINDS: Record<Kind, Label> = {
  budget_plan: { text: 'Budget plan', color: 'cadence' },
  guard: { text: 'Guard rule', color: 'grape' },
  synergy: { text: 'Joint action', color: 'teal' },
  forecast_revision: { text: 'Forecast revision', color: 'indigo' },
  metric_target: { text: 'Metric target', color: 'violet' },
  initiative: { text: 'Initiative', color: 'orange' },
  data_fix: { text: 'Data fix', color: 'gray' },
}

export const STATES: Record<State, Label> = {
  draft: { text: 'Draft', color: 'gray' },
  proposed: { text: 'Proposed', color: 'cadence' },
  in_review: { text: 'In review', color: 'indigo' },
  approved: { text: 'Approved', color: 'teal' },
  rejected: { text: 'Rejected', color: 'red' },
  snoozed: { text: 'Snoozed', color: 'yellow' },
  expired: { text: 'Expired', color: 'gray' },
  superseded: { text: 'Superseded', color: 'gray' },
  withdrawn: { text: 'Withdrawn', color: 'gray' },
  applying: { text: 'Applying', color: 'teal' },
  applied: { text: 'Applied', color: 'green' },
  failed: { text: 'Failed', color: 'red' },
  measuring: { text: 'Measuring', color: 'indigo' },
  verified: { text: 'Verified', color: 'green' },
  refuted: { text: 'Refuted', color: 'red' },
  inconclusive: { text: 'Inconclusive', color: 'yellow' },
  rolled_back: { text: 'Rolled back', color: 'gray' },
}

export const MOVES: Record<Move, string> = {
  propose: 'Proposed',
  open: 'Opened for review',
  approve: 'Approved',
  reject: 'Rejected',
  snooze: 'Snoozed',
  wake: 'Back in the inbox',
  undo: 'Decision undone',
  expire: 'Expired',
  supersede: 'Superseded',
  withdraw: 'Withdrawn',
  start_applying: 'Applying started',
  finish: 'Applied',
  fail: 'Applying failed',
  start_measuring: 'Measuring started',
  verify: 'Verified',
  refute: 'Refuted',
  give_up: 'Inconclusive',
  roll_back: 'Rolled back',
}

export const AGENTS: Record<AgentKind, Label> = {
  optimisation: { text: 'Optimisation', color: 'cadence' },
  metrics: { text: 'Multi-brand metrics', color: 'grape' },
  forecasting: { text: 'Forecasting', color: 'indigo' },
  strategy: { text: 'Strategy', color: 'orange' },
}

export const AGENT_STATUS: Record<AgentStatus, Label> = {
  idle: { text: 'Idle', color: 'green' },
  running: { text: 'Running', color: 'cadence' },
  paused: { text: 'Paused', color: 'yellow' },
  failed: { text: 'Failed', color: 'red' },
  asleep: { text: 'Asleep', color: 'gray' },
}

export const RUN_STATES: Record<RunState, Label> = {
  queued: { text: 'Queued', color: 'gray' },
  running: { text: 'Running', color: 'cadence' },
  succeeded: { text: 'Succeeded', color: 'green' },
  failed: { text: 'Failed', color: 'red' },
  cancelled: { text: 'Cancelled', color: 'yellow' },
}

/** Bands of the brand score: docs of `Band` in domain/src/score.rs. */
export const BANDS: Record<Band, Label & { range: string }> = {
  at_risk: { text: 'At risk', color: 'red', range: 'below 20' },
  digital_challenger: { text: 'Digital challenger', color: 'orange', range: '20 to 50' },
  steady_performer: { text: 'Steady performer', color: 'yellow', range: 'above 50, up to 60' },
  growth_accelerator: { text: 'Growth accelerator', color: 'teal', range: 'above 60, up to 80' },
  digital_trailblazer: { text: 'Digital trailblazer', color: 'green', range: 'above 80' },
}

export const SECTIONS: Record<Section, string> = {
  marketplace: 'Marketplace',
  digital_spends: 'Digital spends',
  organic_performance: 'Organic performance',
  socialwatch: 'Socialwatch',
}

export const VERDICTS: Record<Verdict, Label> = {
  halo: { text: 'Halo', color: 'teal' },
  cannibalisation: { text: 'Cannibalisation', color: 'red' },
  no_evidence: { text: 'No evidence', color: 'gray' },
  not_identifiable: { text: 'Cannot be told', color: 'gray' },
}

export const REFERENCES: Record<Reference, string> = {
  leader: 'Leader',
  benchmark: 'Benchmark',
  category: 'Category mean',
}

/** The label of a name this build may not know yet. */
export function labelOf(table: Record<string, Label>, name: string): Label {
  return table[name] ?? { text: words(name), color: 'gray' }
}

/** `in_review` → "In review". */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** What a proposal is about: `value:Region North/Fern/Units sold/2025-01-27` → "Region North, Fern, Units sold, 27 Jan 2025". */
export function subjectWords(subject: string): string {
  return subject
    .slice(subject.indexOf(':') + 1)
    .split('>')
    .map((side) =>
      side
        .split('/')
        .map((part) => (/^\d{4}-\d{2}-\d{2}$/.test(part) ? day(part) : part.replaceAll('_', ' ')))
        .join(', '),
    )
    .join(' → ')
}

/** Who did it, as people call them. */
export function actorName(actor: Actor, me?: { id: string; name: string }): string {
  switch (actor.kind) {
    case 'agent':
      return `${labelOf(AGENTS, actor.id ?? '').text} agent`
    case 'user':
      return me && actor.id === me.id ? `${me.name} (you)` : 'a colleague'
    default:
      return 'the system'
  }
}
