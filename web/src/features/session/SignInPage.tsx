import { Button, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useState, type FormEvent } from 'react'

import { api, unwrap } from '../../api/client'
import { sessionQuery } from '../../api/session'
import { ProblemAlert } from '../../ui/ProblemAlert'

export function SignInPage() {
  const { next } = useSearch({ from: '/sign-in' })
  const navigate = useNavigate()
  const client = useQueryClient()
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  useEffect(() => {
    document.title = 'Sign in · Digi-Cadence'
  }, [])
  const signIn = useMutation({
    mutationFn: async () => unwrap(api.POST('/session', { body: { email, password } })),
    onSuccess: async (me) => {
      client.clear()
      client.setQueryData(sessionQuery.queryKey, me)
      await navigate({ href: next ?? '/' })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    signIn.mutate()
  }
  return (
    <main className="front">
      <Paper p="xl" w="100%" maw={380} shadow="sm">
        <form onSubmit={submit}>
          <Stack gap="md">
            <div>
              <img src="/favicon.svg" alt="" width={36} height={36} />
              <Title order={1} mt="xs">
                Sign in to Digi-Cadence
              </Title>
            </div>
            {signIn.isError && <ProblemAlert error={signIn.error} />}
            <TextInput label="Email" type="email" autoComplete="username" required value={email} onChange={(event) => setEmail(event.currentTarget.value)} />
            <PasswordInput
              label="Password"
              autoComplete="current-password"
              required
              value={password}
              onChange={(event) => setPassword(event.currentTarget.value)}
              visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password', tabIndex: 0 }}
            />
            <Button type="submit" size="sm" loading={signIn.isPending}>
              Sign in
            </Button>
            <Text size="xs" c="dimmed">
              A demo prints a one-time link when it starts: open that link instead.
            </Text>
          </Stack>
        </form>
      </Paper>
    </main>
  )
}
