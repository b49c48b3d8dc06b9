/** Names of brands, channels and metrics: most answers carry ids only. */
import { queryOptions, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'

import { api, unwrap } from './client'
import type { Brand, Channel, MetricDefinition } from './types'

export const brandsQuery = queryOptions({
  queryKey: ['brands'],
  queryFn: async (): Promise<Brand[]> => unwrap(api.GET('/brands')),
  staleTime: 300_000,
})

export const channelsQuery = queryOptions({
  queryKey: ['channels'],
  queryFn: async (): Promise<Channel[]> => unwrap(api.GET('/channels')),
  staleTime: 300_000,
})

export const metricsQuery = queryOptions({
  queryKey: ['metrics'],
  queryFn: async (): Promise<MetricDefinition[]> => unwrap(api.GET('/metrics')),
  staleTime: 300_000,
})

export interface Catalogue {
  brand: (id: string) => string
  channel: (id: string) => string
  metric: (id: string) => MetricDefinition | undefined
  brands: Brand[]
  channels: Channel[]
  metrics: MetricDefinition[]
}

/** Lookups by id. Before the lists are here an id reads as an ellipsis, never as raw hex. */
export function useCatalogue(): Catalogue {
  const brands = useQuery(brandsQuery).data
  const channels = useQuery(channelsQuery).data
  const metrics = useQuery(metricsQuery).data
  return useMemo(() => {
    const brandNames = new Map((brands ?? []).map((brand) => [brand.id, brand.name]))
    const channelNames = new Map((channels ?? []).map((channel) => [channel.id, channel.name]))
    const definitions = new Map((metrics ?? []).map((metric) => [metric.id, metric]))
    return {
      brand: (id) => brandNames.get(id) ?? (brands ? 'Unknown brand' : '…'),
      channel: (id) => channelNames.get(id) ?? (channels ? 'Unknown channel' : '…'),
      metric: (id) => definitions.get(id),
      brands: brands ?? [],
      channels: channels ?? [],
      metrics: metrics ?? [],
    }
  }, [brands, channels, metrics])
}
