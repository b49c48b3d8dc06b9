import { List, Stack, Text, Timeline } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'

import type { Catalogue } from '../../api/catalogue'
import { api, unwrap } from '../../api/client'
import type { Action } from '../../api/types'
import { day, metricValue, money, number, share, weeks } from '../../lib/format'
import { ruleSentence } from '../../lib/rules'
import { CertificateView } from '../../ui/CertificateView'
import { DataTable } from '../../ui/DataTable'
import { PlanLines } from '../../ui/PlanLines'
import { TextLink } from '../../ui/links'

interface Props {
  action: Action
  names: Catalogue
  currency: string
}

/** What approving does, exactly: the frozen action in words and numbers. */
export function ActionView({ action, names, currency }: Props) {
  switch (action.kind) {
    case 'budget_plan':
      return <BudgetPlanView action={action} names={names} currency={currency} />
    case 'guard':
    case 'synergy':
      return (
        <Text size="sm">
          {action.kind === 'guard' ? 'A standing rule that every later plan obeys: ' : 'A joint action entered in the plan’s terms: '}
          <strong>{ruleSentence(action.rule, names, currency)}</strong>
        </Text>
      )
    case 'forecast_revision':
      return <ForecastRevisionView action={action} names={names} />
    case 'metric_target': {
      const metric = names.metric(action.metric)
      const write = (value: number) => metricValue(value, metric?.unit ?? 'index', currency)
      return (
        <Text size="sm">
          {names.brand(action.brand)} moves <strong>{metric?.name ?? 'the metric'}</strong> from {write(action.from)} to <strong>{write(action.to)}</strong>{' '}
          ({share(action.from === 0 ? null : action.to / action.from - 1, 1, { signed: true })}) by {day(action.due)}.
        </Text>
      )
    }
    case 'data_fix': {
      const metric = names.metric(action.metric)
      const write = (value: number) => metricValue(value, metric?.unit ?? 'index', currency)
      return (
        <Text size="sm">
          {names.brand(action.brand)}, {metric?.name ?? 'metric'}, week of {day(action.period)}: <strong>{write(action.from)}</strong>{' '}
          {action.to === null || action.to === undefined ? 'is left out of the analysis' : <>is read as <strong>{write(action.to)}</strong></>}. The
          original value stays stored, and the fix can be undone.
        </Text>
      )
    }
    case 'initiative':
      return (
        <Stack gap="sm">
          <Timeline bulletSize={12} lineWidth={2} active={action.steps.length}>
            {action.steps.map((step) => (
              <Timeline.Item key={`${step.start}-${step.title}`} title={<Text size="sm" fw={550}>{step.title}</Text>}>
                <Text size="xs" c="dimmed">
                  from {day(step.start)}
                </Text>
                <ActionView action={step.action as Action} names={names} currency={currency} />
              </Timeline.Item>
            ))}
          </Timeline>
          {action.assumptions.length > 0 && (
            <div>
              <Text size="xs" c="dimmed">
                It makes sense only while
              </Text>
              <List size="sm">
                {action.assumptions.map((assumption) => (
                  <List.Item key={assumption}>{assumption}</List.Item>
                ))}
              </List>
            </div>
          )}
          {action.reviews.length > 0 && <Text size="sm">Looked at again on {action.reviews.map((date) => day(date)).join(', ')}.</Text>}
        </Stack>
      )
    default:
      return <Text size="sm">This version of the app cannot show this kind of action. Its content is in the API.</Text>
  }
}

function BudgetPlanView({ action, names, currency }: { action: Extract<Action, { kind: 'budget_plan' }>; names: Catalogue; currency: string }) {
  const plan = useQuery({
    queryKey: ['plans', action.plan],
    retry: false,
    queryFn: async () => unwrap(api.GET('/plans/{plan_id}', { params: { path: { plan_id: action.plan } } })),
  })
  const changed = action.lines.filter((line) => Math.abs(Number(line.weekly) - Number(line.current)) >= 0.005).length
  return (
    <Stack gap="sm">
      <Text size="sm">
        From {day(action.start)} for {weeks(action.weeks)}: {money(action.total.amount, action.total.currency)} in total, {number(changed)} of{' '}
        {number(action.lines.length)} lines change. Nothing is pushed to ad platforms; the plan becomes the plan of record.
      </Text>
      <PlanLines lines={action.lines} currency={currency} brand={names.brand} channel={names.channel} caption="Lines of the plan" maxHeight={320} />
      {plan.data?.certificate && (
        <div>
          <Text size="sm" fw={600} mb={2}>
            Certificate
          </Text>
          <CertificateView certificate={plan.data.certificate} />
        </div>
      )}
      {plan.data && (
        <TextLink to="/plans/$planId" params={{ planId: action.plan }} size="sm">
          Open the plan
        </TextLink>
      )}
    </Stack>
  )
}

function ForecastRevisionView({ action, names }: { action: Extract<Action, { kind: 'forecast_revision' }>; names: Catalogue }) {
  const forecast = useQuery({
    queryKey: ['forecasts', action.forecast],
    retry: false,
    queryFn: async () => unwrap(api.GET('/forecasts/{forecast_id}', { params: { path: { forecast_id: action.forecast } } })),
  })
  return (
    <Stack gap="xs">
      <Text size="sm">
        The forecast of <strong>{names.metric(action.metric)?.name ?? 'the metric'}</strong> for {names.brand(action.brand)}
        {forecast.data ? ` by ${forecast.data.model}, known up to ${day(forecast.data.origin)},` : ''} becomes the forecast of record.{' '}
        <TextLink to="/brands/$brandId" params={{ brandId: action.brand }} search={{ metric: action.metric }} size="sm">
          See it on the time axis
        </TextLink>
      </Text>
      {forecast.data && forecast.data.backtest.length > 0 && (
        <DataTable
          caption="Backtest of the candidate models, best first"
          rows={forecast.data.backtest}
          rowKey={(row) => row.model}
          columns={[
            { key: 'model', title: 'Model', cell: (row) => row.model },
            { key: 'mase', title: 'MASE', numeric: true, cell: (row) => number(row.mase, 3) },
            { key: 'smape', title: 'sMAPE', numeric: true, cell: (row) => `${number(row.smape, 1)}%` },
            { key: 'c80', title: 'In 80%', numeric: true, cell: (row) => share(row.coverage80) },
            { key: 'c95', title: 'In 95%', numeric: true, cell: (row) => share(row.coverage95) },
            { key: 'n', title: 'Errors', numeric: true, cell: (row) => number(row.errors) },
          ]}
        />
      )}
    </Stack>
  )
}
