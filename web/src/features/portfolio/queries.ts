import { queryOptions } from '@tanstack/react-query'

import { api, unwrap } from '../../api/client'

export const portfolioQuery = queryOptions({
  queryKey: ['portfolio'],
  queryFn: async () => unwrap(api.GET('/portfolio')),
  refetchInterval: 30_000,
})
