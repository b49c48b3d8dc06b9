/** Server state lives here and nowhere else. */
import { QueryCache, QueryClient } from '@tanstack/react-query'

import { ApiError } from './problem'

/** Heard by the shell: the session ended while the app was open. */
export const SIGNED_OUT = 'digi-cadence:signed-out'

export const queryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error) => {
      if (error instanceof ApiError && error.status === 401) globalThis.dispatchEvent(new Event(SIGNED_OUT))
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What the server refused it refuses again; only what never arrived is asked for once more.
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status < 500),
    },
    mutations: { retry: false },
  },
})
