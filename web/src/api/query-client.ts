/** Server state lives here and nowhere else. */
import { QueryClient } from '@tanstack/react-query'

import { ApiError } from './problem'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What the server refused it refuses again; only what never arrived is asked for once more.
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status < 500),
    },
    mutations: { retry: false },
  },
})
