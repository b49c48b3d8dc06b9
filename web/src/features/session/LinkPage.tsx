import { Loader, Paper, Stack, Text, Title } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'

import { api, unwrap } from '../../api/client'
import { sessionQuery } from '../../api/session'
import { ProblemAlert } from '../../ui/ProblemAlert'
import { ButtonLink } from '../../ui/links'

/** Signs in with the token behind the `#`, which never reaches a server log, and wipes it from the address. */
export function LinkPage() {
  const navigate = useNavigate()
  const client = useQueryClient()
  const started = useRef(false)
  const open = useMutation({
    mutationFn: async (token: string) => unwrap(api.POST('/session/link', { body: { token } })),
    onSuccess: async (me) => {
      client.clear()
      client.setQueryData(sessionQuery.queryKey, me)
      await navigate({ to: '/', replace: true })
    },
  })
  const { mutate } = open
  useEffect(() => {
    document.title = 'Signing in · Digi-Cadence'
    if (started.current) return
    started.current = true
    const token = decodeURIComponent(globalThis.location.hash.slice(1))
    globalThis.history.replaceState(globalThis.history.state, '', '/link')
    mutate(token)
  }, [mutate])
  return (
    <main className="front">
      <Paper p="xl" w="100%" maw={420} shadow="sm">
        <Stack gap="md">
          <Title order={1}>{open.isError ? 'This link does not work (any more)' : 'Signing in'}</Title>
          {open.isError ? (
            <>
              <ProblemAlert error={open.error} />
              <Text size="sm" c="dimmed">
                A link signs in once. Start the demo again for a fresh one, or sign in with a password.
              </Text>
              <ButtonLink to="/sign-in" variant="default">
                Sign in with a password
              </ButtonLink>
            </>
          ) : (
            <Loader aria-label="Signing in" />
          )}
        </Stack>
      </Paper>
    </main>
  )
}
