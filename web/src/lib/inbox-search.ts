/** The filters of the inbox as they stand in the URL. */
import type { AgentKind, Kind, State } from '../api/types'
import { AGENTS, KINDS } from './labels'

export type View = 'open' | 'decided' | 'measured' | 'closed' | 'all'

export interface InboxSearch {
  view?: View
  kind?: Kind
  agent?: AgentKind
  brand?: string
  selected?: string
}

/** The states each view asks for. `open` is understood by the server as proposed, in review and snoozed. */
export const VIEWS: Record<View, { text: string; states: (Exclude<State, 'draft'> | 'open')[] }> = {
  open: { text: 'Open', states: ['open'] },
  decided: { text: 'Decided', states: ['approved', 'rejected', 'applying', 'applied', 'failed'] },
  measured: { text: 'Measured', states: ['measuring', 'verified', 'refuted', 'inconclusive', 'rolled_back'] },
  closed: { text: 'Closed undecided', states: ['expired', 'superseded', 'withdrawn'] },
  all: { text: 'All', states: [] },
}

export function isView(value: unknown): value is View {
  return typeof value === 'string' && Object.hasOwn(VIEWS, value)
}

export function isKind(value: unknown): value is Kind {
  return typeof value === 'string' && Object.hasOwn(KINDS, value)
}

export function isAgent(value: unknown): value is AgentKind {
  return typeof value === 'string' && Object.hasOwn(AGENTS, value)
}
