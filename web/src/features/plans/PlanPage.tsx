import { Button, Tooltip } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'

import { useForbidden } from '../../api/session'
import { Page } from '../../ui/Page'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { notifyProblem } from '../../ui/notify'
import { PlanDetail } from './PlanDetail'
import { planQuery, submissionQuery, useSubmit } from './queries'
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
  // A draft that was submitted does not name its recommendation; the recommendation names the plan.
  const submitted = useQuery(submissionQuery(planId))
  const proposal = query.data?.recommendation ?? submitted.data ?? null
  return (
    <QueryView query={query} height={500} lines={3}>
      {(plan) => (
        <Page
          title={plan.name}
          actions={
            proposal ? (
              <ButtonLink to="/recommendations" search={{ view: 'all', selected: proposal }} variant="default">
                Its recommendation
              </ButtonLink>
            ) : plan.status === 'draft' && !submitted.isPending ? (
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
