import { queryOptions } from '@tanstack/react-query'

import { api, BASE, idempotencyKey, unwrap } from '../../api/client'
import { ApiError, NetworkError } from '../../api/problem'
import type { Batch, Mapping, Problem } from '../../api/types'

export const importsQuery = queryOptions({
  queryKey: ['imports', 'list'],
  queryFn: async (): Promise<Batch[]> => (await unwrap(api.GET('/imports', { params: { query: { limit: 50 } } }))).data,
  refetchInterval: (query) => (query.state.data?.some((batch) => batch.state === 'open') ? 1500 : 15_000),
})

export const mappingsQuery = queryOptions({
  queryKey: ['mappings'],
  queryFn: async (): Promise<Mapping[]> => unwrap(api.GET('/mappings')),
})

/**
 * Sends a file and tells how much of it has left. The browser's fetch cannot report upload progress, so this one
 * request is made with XMLHttpRequest.
 */
export function upload(file: File, mapping: string, onProgress: (sent: number) => void): Promise<Batch> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const query = new URLSearchParams({ mapping_id: mapping, source: file.name })
    request.open('POST', `${BASE}/imports?${query}`)
    request.setRequestHeader('Content-Type', 'text/csv')
    request.setRequestHeader('Idempotency-Key', idempotencyKey())
    request.responseType = 'json'
    request.upload.addEventListener('progress', (event) => onProgress(event.lengthComputable ? event.loaded / event.total : 0))
    request.addEventListener('error', () => reject(new NetworkError('the upload broke off')))
    request.addEventListener('load', () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response as Batch)
      else reject(new ApiError({ ...(request.response as Partial<Problem> | null), status: request.status }))
    })
    request.send(file)
  })
}
