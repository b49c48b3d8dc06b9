/** The one client of the HTTP API. Types come from the contract; there is no hand-written request elsewhere. */
import createClient from 'openapi-fetch'

import { ApiError, NetworkError } from './problem'
import type { paths } from './schema'
import type { Problem } from './types'

export const BASE = '/api/v1'

export const api = createClient<paths>({
  baseUrl: BASE,
  credentials: 'same-origin',
  querySerializer: { array: { style: 'form', explode: true } },
  // Looked up at call time, so that a test can put its own in place.
  fetch: (request) => globalThis.fetch(request),
})

type Answer<T> = { data?: T; error?: unknown; response: Response }

/** The body of a good answer; anything else is thrown as an [`ApiError`]. */
export async function unwrap<T>(request: Promise<Answer<T>>): Promise<NonNullable<T>> {
  return (await answer(request)).body
}

/** Like [`unwrap`], with the ETag that the next `If-Match` names and the server's clock. */
export async function answer<T>(
  request: Promise<Answer<T>>,
): Promise<{ body: NonNullable<T>; etag: string | null; serverTime: Date | null }> {
  let got: Answer<T>
  try {
    got = await request
  } catch (cause) {
    throw new NetworkError(cause)
  }
  if (!got.response.ok) {
    throw new ApiError({ ...(isObject(got.error) ? (got.error as Partial<Problem>) : {}), status: got.response.status })
  }
  const date = got.response.headers.get('date')
  return { body: got.data as NonNullable<T>, etag: got.response.headers.get('etag'), serverTime: date ? new Date(date) : null }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** A fresh key for a POST, so that a repeated click or a retry is carried out once. */
export function idempotencyKey(): string {
  return crypto.randomUUID()
}

/** The strong ETag of a version, as `If-Match` names it. */
export function etagOf(version: number): string {
  return `"${version}"`
}
