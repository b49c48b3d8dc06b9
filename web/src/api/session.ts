/** Who is signed in, and what they may do. */
import { queryOptions, useQuery } from '@tanstack/react-query'
import { useState } from 'react'

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
export function useForbidden(permission: Me['permissions'][number]): string | null {
  const me = useMe()
  if (!me || me.permissions.includes(permission)) return null
  return `Your role (${me.user.role.replaceAll('_', ' ')}) does not include this. Ask an administrator.`
}

/** The organisation's date: in a demo the end of its data, else the calendar's. */
export function useToday(): string {
  const me = useMe()
  const [calendar] = useState(() => new Date().toISOString().slice(0, 10))
  return me?.organisation.as_of ?? calendar
}
