import { queryOptions } from '@tanstack/react-query'

import { api, unwrap } from '../../api/client'

export const synergiesQuery = queryOptions({
  queryKey: ['synergies'],
  queryFn: async () => unwrap(api.GET('/synergies')),
})
