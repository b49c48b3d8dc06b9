/** Errors as the server states them (RFC 9457), and what became of a request that never got an answer. */
import type { Problem } from './types'

export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly advice: string | null
  readonly traceId: string | null
  readonly fields: { pointer: string; detail: string }[]

  constructor(problem: Partial<Problem> & { status: number }) {
    super(problem.detail || problem.title || `the server answered ${problem.status}`)
    this.name = 'ApiError'
    this.status = problem.status
    this.code = problem.code ?? `http.${problem.status}`
    this.advice = problem.advice ?? null
    this.traceId = problem.trace_id ?? null
    this.fields = problem.errors ?? []
  }

  /** Somebody else was faster, or the copy on screen is out of date: reload and look again. */
  get isConflict(): boolean {
    return this.status === 409 || this.status === 412
  }
}

export class NetworkError extends Error {
  constructor(cause: unknown) {
    super('the server cannot be reached', { cause })
    this.name = 'NetworkError'
  }
}

/** What a person reads about any error: what happened, and what to do. */
export function explain(error: unknown): { title: string; advice: string | null; code: string | null; trace: string | null } {
  if (error instanceof ApiError) {
    return { title: sentence(error.message), advice: error.advice ? sentence(error.advice) : null, code: error.code, trace: error.traceId }
  }
  if (error instanceof NetworkError) {
    return {
      title: 'The server cannot be reached.',
      advice: 'Check that it is running; this page tries again by itself.',
      code: null,
      trace: null,
    }
  }
  return { title: error instanceof Error ? sentence(error.message) : 'Something went wrong.', advice: null, code: null, trace: null }
}

function sentence(text: string): string {
  const trimmed = text.trim()
  if (!trimmed) return trimmed
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1)
  return /[.!?]$/.test(capital) ? capital : `${capital}.`
}
