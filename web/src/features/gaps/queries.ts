import { queryOptions } from '@tanstack/react-query'

import { api, unwrap } from '../../api/client'
import type { Gap, LeadingIndicator, RivalChange } from '../../api/types'

export const gapsQuery = (brandId?: string) =>
  queryOptions({
    queryKey: ['gaps', brandId ?? ''],
    queryFn: async (): Promise<Gap[]> => unwrap(api.GET('/gaps', { params: { query: { brand_id: brandId } } })),
  })

export const rivalsQuery = queryOptions({
  queryKey: ['gaps', 'rivals'],
  queryFn: async (): Promise<RivalChange[]> => unwrap(api.GET('/rivals')),
})

export const indicatorsQuery = queryOptions({
  queryKey: ['gaps', 'indicators'],
  queryFn: async (): Promise<LeadingIndicator[]> => unwrap(api.GET('/indicators')),
})
