import { Container, Text, Title } from '@mantine/core'
import { useRouter, type ErrorComponentProps } from '@tanstack/react-router'

import { ProblemAlert } from '../ui/ProblemAlert'
import { ButtonLink } from '../ui/links'

export function NotFound() {
  return (
    <Container component="main" size="sm" py="xl">
      <Title order={1}>Nothing lives at this address</Title>
      <Text c="dimmed" my="sm">
        It may have been removed, or the address has a slip in it.
      </Text>
      <ButtonLink to="/">
        To the overview
      </ButtonLink>
    </Container>
  )
}

export function RouteError({ error, reset }: ErrorComponentProps) {
  const router = useRouter()
  return (
    <Container component="main" size="sm" py="xl">
      <Title order={1}>This page could not be opened</Title>
      <ProblemAlert
        error={error}
        onRetry={() => {
          reset()
          void router.invalidate()
        }}
      />
    </Container>
  )
}
