/** Who is signed in, and what they may do. */
import { queryOptions, useQuery } from '@tanstack/react-query'

import { api, unwrap } from './client'
import type { Me } from './types'

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async (): Promise<Me> => unwrap(api.GET('/session')),
  staleTime: 60_000,
  retry: false,
})

export function useMe(): Me | undefined {
  return useQuery(sessionQuery).data
}

/** Currency of the organisation, in which every sum is shown. */
export function useCurrency(): string {
  return useMe()?.organisation.currency ?? 'EUR'
}

/** Why the person may not do this, or null when they may. Controls are disabled with the reason, never hidden. */
export function useForbidden(permission: string): string | null {
  const me = useMe()
  if (!me || me.permissions.includes(permission as never)) return null
  return `Your role (${me.user.role.replaceAll('_', ' ')}) does not include this. Ask an administrator.`
}
