import { List, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'

import { useCatalogue } from '../../api/catalogue'
import { useCurrency } from '../../api/session'
import { day, money, probability, weeks } from '../../lib/format'
import { labelOf } from '../../lib/labels'
import { ruleSentence } from '../../lib/rules'
import { DataTable } from '../../ui/DataTable'
import { effectWords } from '../../ui/EffectRange'
import { EmptyHint } from '../../ui/EmptyHint'
import { ButtonLink, TextLink } from '../../ui/links'
import { Page } from '../../ui/Page'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { Tag } from '../../ui/Tag'
import { PlanDetail } from './PlanDetail'
import { constraintsQuery, currentPlanQuery, plansQuery } from './queries'
import { PLAN_STATUS } from './status'

export function PlansPage() {
  const names = useCatalogue()
  const currency = useCurrency()
  const current = useQuery(currentPlanQuery)
  const plans = useQuery(plansQuery)
  const constraints = useQuery(constraintsQuery)
  return (
    <Page
      title="Plans"
      subtitle="Weekly media spend by brand and channel."
      actions={
        <ButtonLink to="/plans/what-if">
          What if…
        </ButtonLink>
      }
    >
      <Panel title={current.data ? (current.data.status === 'of_record' ? `Plan of record: ${current.data.name}` : 'No plan of record yet: spend goes on as it is') : 'Plan of record'}>
        <QueryView
          query={current}
          height={320}
          lines={3}
          empty={<EmptyHint title="There is no plan and no spend to carry on">Import a spend metric first.</EmptyHint>}
          isEmpty={(plan) => plan === null}
        >
          {(plan) => plan && <PlanDetail plan={plan} isBase={plan.status !== 'of_record'} />}
        </QueryView>
      </Panel>
      <Panel title="All plans" flush>
        <QueryView query={plans} height={160} lines={3} isEmpty={(rows) => rows.length === 0} empty={<EmptyHint title="No plan was made yet">Approve a budget plan in the inbox, or save a draft from a what-if.</EmptyHint>}>
          {(rows) => (
            <DataTable
              caption="All plans"
              rows={rows}
              rowKey={(plan) => plan.id}
              minWidth={720}
              maxHeight={380}
              columns={[
                {
                  key: 'name',
                  title: 'Plan',
                  cell: (plan) => (
                    <TextLink to="/plans/$planId" params={{ planId: plan.id }} size="sm">
                      {plan.name}
                    </TextLink>
                  ),
                },
                { key: 'status', title: 'Status', cell: (plan) => <Tag label={labelOf(PLAN_STATUS, plan.status)} /> },
                { key: 'start', title: 'From', cell: (plan) => `${day(plan.start)}, ${weeks(plan.weeks)}` },
                { key: 'total', title: 'Total', numeric: true, cell: (plan) => money(plan.total.amount, plan.total.currency, { compact: true }) },
                { key: 'effect', title: 'Expected change', numeric: true, cell: (plan) => effectWords(plan.effect).value },
                { key: 'confidence', title: 'P(gain)', numeric: true, cell: (plan) => probability(plan.confidence) },
              ]}
            />
          )}
        </QueryView>
      </Panel>
      <Panel title="Standing rules" note="Every later plan obeys them.">
        <QueryView query={constraints} height={80} isEmpty={(rows) => rows.every((rule) => !rule.active)} empty={<Text size="sm" c="dimmed">No rule is in force. Approving a guard or a joint action in the inbox adds one.</Text>}>
          {(rows) => (
            <List size="sm">
              {rows
                .filter((rule) => rule.active)
                .map((rule) => (
                  <List.Item key={rule.id}>
                    {ruleSentence(rule.rule, names, currency)} <span className="muted">{rule.reason}</span>
                  </List.Item>
                ))}
            </List>
          )}
        </QueryView>
      </Panel>
    </Page>
  )
}
