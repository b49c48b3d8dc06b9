import { Select, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'

import { api, unwrap } from '../../api/client'
import type { Forecast, MetricDefinition, Timeline } from '../../api/types'
import { ChartFigure } from '../../charts/ChartFigure'
import { usePalette } from '../../charts/palette'
import { timelineOption, timelineTable } from '../../charts/timeline'
import { day, number, plural, share, unitName } from '../../lib/format'
import { KINDS, labelOf, SECTIONS, STATES } from '../../lib/labels'
import { DataTable } from '../../ui/DataTable'
import { EmptyHint } from '../../ui/EmptyHint'
import { TextLink } from '../../ui/links'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { sourceLine } from '../../ui/ProvenanceView'
import { Tag } from '../../ui/Tag'

interface Props {
  brandId: string
  metrics: MetricDefinition[]
  metricId: string | null
  currency: string
  onMetric: (id: string) => void
}

/** History, forecast and actions of one metric of a brand. */
export function TimelinePanel({ brandId, metrics, metricId, currency, onMetric }: Props) {
  const query = useQuery({
    queryKey: ['timeline', brandId, metricId],
    enabled: metricId !== null,
    queryFn: async () =>
      unwrap(api.GET('/brands/{brand_id}/timeline', { params: { path: { brand_id: brandId }, query: { metric_id: metricId ?? '' } } })),
  })
  const groups = Object.entries(SECTIONS).map(([section, group]) => ({
    group,
    items: metrics.filter((metric) => metric.section === section).map((metric) => ({ value: metric.id, label: metric.platform ? `${metric.name} (${metric.platform})` : metric.name })),
  }))
  return (
    <Panel
      title="Timeline"
      actions={
        <Select
          size="xs"
          w={260}
          aria-label="Metric"
          searchable
          allowDeselect={false}
          maxDropdownHeight={360}
          value={metricId}
          onChange={(id) => id && onMetric(id)}
          data={groups.filter((group) => group.items.length > 0)}
        />
      }
    >
      <QueryView query={query} height={380} isEmpty={(timeline) => timeline.history.length === 0} empty={<EmptyHint title="This brand has no values of this metric">Choose another metric, or import a file that has it.</EmptyHint>}>
        {(timeline) => <TimelineView timeline={timeline} currency={currency} />}
      </QueryView>
    </Panel>
  )
}

function TimelineView({ timeline, currency }: { timeline: Timeline; currency: string }) {
  const palette = usePalette()
  const option = useMemo(() => timelineOption(timeline, currency, palette), [timeline, currency, palette])
  const table = useMemo(() => timelineTable(timeline, currency), [timeline, currency])
  const { metric, history, forecast, actions, outliers } = timeline
  return (
    <Stack gap="md">
      <ChartFigure
        title={metric.name}
        unit={`${unitName(metric.unit, currency)} a ${metric.granularity}`}
        period={`${day(history[0]?.period)} to ${day(forecast?.points.at(-1)?.period ?? history.at(-1)?.period)}`}
        source={`imported values${forecast ? `; forecast: ${sourceLine(forecast.provenance)}` : ''}`}
        option={option}
        table={table}
        height={320}
        note={
          <div className="legend" aria-hidden>
            <span className="key key-history">actual</span>
            {forecast && <span className="key key-forecast">forecast, 80% and 95%</span>}
            {actions.length > 0 && <span className="key key-action">action, with how many</span>}
            {outliers.length > 0 && <span className="key key-outlier">outlier</span>}
          </div>
        }
      />
      {forecast ? (
        <ForecastFacts forecast={forecast} />
      ) : (
        <Text size="sm" c="dimmed">
          There is no forecast of this metric: forecasts are made for outcome metrics with enough history.
        </Text>
      )}
      {actions.length > 0 && (
        <DataTable
          caption="Actions on this axis"
          rows={actions}
          rowKey={(action) => action.recommendation_id}
          maxHeight={220}
          columns={[
            {
              key: 'title',
              title: `${plural(actions.length, 'action')} on this axis`,
              cell: (action) => (
                <TextLink to="/recommendations" search={{ view: 'all', selected: action.recommendation_id }} size="sm">
                  {action.title}
                </TextLink>
              ),
            },
            { key: 'kind', title: 'Kind', cell: (action) => labelOf(KINDS, action.kind).text },
            { key: 'date', title: 'From', cell: (action) => day(action.date) },
            { key: 'state', title: 'State', cell: (action) => <Tag label={labelOf(STATES, action.state)} outline /> },
          ]}
        />
      )}
    </Stack>
  )
}

function ForecastFacts({ forecast }: { forecast: Forecast }) {
  const best = forecast.backtest[0]
  return (
    <details>
      <summary>
        Forecast by {forecast.model}
        {best && `, backtest MASE ${number(best.mase, 2)} (below 1 beats the naive forecast), ${share(best.coverage80)} of actuals inside the 80% band`}
      </summary>
      <DataTable
        caption="Backtest of the candidate models, best first"
        rows={forecast.backtest}
        rowKey={(row) => row.model}
        columns={[
          { key: 'model', title: 'Model', cell: (row) => row.model },
          { key: 'mase', title: 'MASE', numeric: true, cell: (row) => number(row.mase, 3) },
          { key: 'smape', title: 'sMAPE', numeric: true, cell: (row) => `${number(row.smape, 1)}%` },
          { key: 'c80', title: 'In 80%', numeric: true, cell: (row) => share(row.coverage80) },
          { key: 'c95', title: 'In 95%', numeric: true, cell: (row) => share(row.coverage95) },
          { key: 'n', title: 'Errors measured', numeric: true, cell: (row) => number(row.errors) },
        ]}
      />
    </details>
  )
}
