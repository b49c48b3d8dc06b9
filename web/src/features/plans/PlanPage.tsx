import { Button, Tooltip } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'

import { useForbidden } from '../../api/session'
import { Page } from '../../ui/Page'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { notifyProblem } from '../../ui/notify'
import { PlanDetail } from './PlanDetail'
import { planQuery, useSubmit } from './queries'
import { ButtonLink } from '../../ui/links'

export function PlanPage() {
  const { planId } = useParams({ from: '/app/plans/$planId' })
  const navigate = useNavigate()
  const forbidden = useForbidden('plan_write')
  const query = useQuery(planQuery(planId))
  const submit = useSubmit()
  const toInbox = () =>
    submit.mutate(planId, {
      onSuccess: (made) => void navigate({ to: '/recommendations', search: { selected: made.id } }),
      onError: notifyProblem,
    })
  return (
    <QueryView query={query} height={500} lines={3}>
      {(plan) => (
        <Page
          title={plan.name}
          actions={
            plan.recommendation ? (
              <ButtonLink to="/recommendations" search={{ view: 'all', selected: plan.recommendation }} variant="default">
                Its recommendation
              </ButtonLink>
            ) : plan.status === 'draft' ? (
              <Tooltip label={forbidden ?? 'A person decides on it in the inbox.'}>
                <Button disabled={forbidden !== null} loading={submit.isPending} onClick={toInbox}>
                  Submit to the inbox
                </Button>
              </Tooltip>
            ) : undefined
          }
        >
          <Panel title="The plan">
            <PlanDetail plan={plan} />
          </Panel>
        </Page>
      )}
    </QueryView>
  )
}
