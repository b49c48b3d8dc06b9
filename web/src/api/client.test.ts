import { afterEach, describe, expect, it, vi } from 'vitest'

import { answer, api, etagOf, unwrap } from './client'
import { ApiError, explain, NetworkError } from './problem'

function respond(status: number, body: unknown, headers: Record<string, string> = {}) {
  const type = status < 400 ? 'application/json; charset=utf-8' : 'application/problem+json'
  vi.stubGlobal('fetch', async () => new Response(JSON.stringify(body), { status, headers: { 'content-type': type, ...headers } }))
}

afterEach(() => vi.unstubAllGlobals())

describe('an answer of the server', () => {
  it('gives the body, the tag that the next change must name, and the server’s clock', async () => {
    respond(200, { enabled: true }, { etag: '"7"', date: 'Mon, 22 Dec 2025 08:00:00 GMT' })
    const got = await answer(api.GET('/demo'))
    expect(got.body).toEqual({ enabled: true })
    expect(got.etag).toBe(etagOf(7))
    expect(got.serverTime?.toISOString()).toBe('2025-12-22T08:00:00.000Z')
  })

  it('throws a problem with its code and advice, and says whether somebody was faster', async () => {
    respond(409, { type: '/problems/x', title: 'Conflict', status: 409, detail: 'it is already approved', code: 'recommendation.already_decided', advice: 'reload it' })
    const error = await unwrap(api.GET('/demo')).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({ status: 409, code: 'recommendation.already_decided', isConflict: true })
    expect(explain(error)).toMatchObject({ title: 'It is already approved.', advice: 'Reload it.' })
  })

  it('still names the status when the body is no problem', async () => {
    respond(503, 'busy')
    await expect(unwrap(api.GET('/demo'))).rejects.toMatchObject({ status: 503, code: 'http.503', isConflict: false })
  })

  it('tells a server that cannot be reached from one that refuses', async () => {
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('failed to fetch')
    })
    await expect(unwrap(api.GET('/demo'))).rejects.toBeInstanceOf(NetworkError)
  })
})
