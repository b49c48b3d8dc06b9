import { Select } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'

import { useCatalogue } from '../../api/catalogue'
import { useCurrency } from '../../api/session'
import { day, interval, metricValue, plural, significance } from '../../lib/format'
import { DataTable } from '../../ui/DataTable'
import { EmptyHint } from '../../ui/EmptyHint'
import { Page } from '../../ui/Page'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { GapTable } from './GapTable'
import { gapsQuery, indicatorsQuery, rivalsQuery } from './queries'

export function GapsPage() {
  const { brand } = useSearch({ from: '/app/gaps' })
  const navigate = useNavigate({ from: '/gaps' })
  const names = useCatalogue()
  const currency = useCurrency()
  const gaps = useQuery(gapsQuery(brand))
  const rivals = useQuery(rivalsQuery)
  const indicators = useQuery(indicatorsQuery)
  const own = new Set(names.brands.filter((candidate) => candidate.role === 'primary').map((candidate) => candidate.id))
  const unitOf = (metric: string) => {
    const unit = names.metric(metric)?.unit ?? 'index'
    return unit === 'currency' ? currency : unit
  }
  return (
    <Page title="Gaps and rivals" subtitle="Where own brands are behind, what rivals changed, and what moves first.">
      <Panel
        title="Gaps"
        flush
        note="Widest first, in the metric’s unit and in percent of the reference. Without leader: the gap when the leading brand is left out; plus is behind."
        actions={
          <Select
            size="xs"
            w={180}
            aria-label="Brand"
            placeholder="Every own brand"
            clearable
            value={brand ?? null}
            onChange={(id) => void navigate({ search: id ? { brand: id } : {} })}
            data={names.brands.filter((candidate) => candidate.role === 'primary').map((candidate) => ({ value: candidate.id, label: candidate.name }))}
          />
        }
      >
        <QueryView query={gaps} height={320} lines={6}>
          {(rows) => <GapTable gaps={brand ? rows : rows.filter((gap) => own.has(gap.brand))} names={names} currency={currency} withBrand={!brand} />}
        </QueryView>
      </Panel>
      <Panel title="Changes of rivals" flush note="A shift in a rival’s metric that the scan can tell from noise. The q-value is adjusted for every candidate tried.">
        <QueryView query={rivals} height={160} lines={3} isEmpty={(rows) => rows.length === 0} empty={<EmptyHint title="No rival changed its behaviour">The scan looks at every rival and metric after each import.</EmptyHint>}>
          {(rows) => (
            <DataTable
              caption="Changes of rivals"
              rows={rows}
              rowKey={(row) => `${row.rival}/${row.metric}/${row.start}`}
              minWidth={620}
              columns={[
                { key: 'rival', title: 'Rival', cell: (row) => names.brand(row.rival) },
                { key: 'metric', title: 'Metric', cell: (row) => names.metric(row.metric)?.name ?? '…' },
                { key: 'start', title: 'Since', cell: (row) => day(row.start) },
                { key: 'estimate', title: 'Change a week', numeric: true, cell: (row) => metricValue(row.estimate, names.metric(row.metric)?.unit ?? 'index', currency, { compact: true, signed: true }) },
                { key: 'interval', title: '95% interval', numeric: true, cell: (row) => interval(row.interval95, unitOf(row.metric), { compact: true, signed: true }) },
                { key: 'q', title: 'q-value', numeric: true, cell: (row) => significance(row.q_value) },
              ]}
            />
          )}
        </QueryView>
      </Panel>
      <Panel title="Leading indicators" flush note="A metric that moves before another one of the same brand, by how many weeks, and how much of the second comes with one unit of the first.">
        <QueryView query={indicators} height={160} lines={3} isEmpty={(rows) => rows.length === 0} empty={<EmptyHint title="No leading indicator was found">Every pair of metrics and lag is tried after each import.</EmptyHint>}>
          {(rows) => (
            <DataTable
              caption="Leading indicators"
              rows={rows}
              rowKey={(row) => `${row.brand}/${row.indicator}/${row.outcome}/${row.lag}`}
              minWidth={680}
              columns={[
                { key: 'brand', title: 'Brand', cell: (row) => names.brand(row.brand) },
                { key: 'indicator', title: 'Moves first', cell: (row) => names.metric(row.indicator)?.name ?? '…' },
                { key: 'outcome', title: 'Follows', cell: (row) => names.metric(row.outcome)?.name ?? '…' },
                { key: 'lag', title: 'After', numeric: true, cell: (row) => plural(row.lag, 'week') },
                { key: 'estimate', title: 'Change per unit of it', numeric: true, cell: (row) => metricValue(row.estimate, names.metric(row.outcome)?.unit ?? 'index', currency, { compact: true, signed: true }) },
                { key: 'interval', title: '95% interval', numeric: true, cell: (row) => interval(row.interval95, unitOf(row.outcome), { compact: true, signed: true }) },
                { key: 'q', title: 'q-value', numeric: true, cell: (row) => significance(row.q_value) },
              ]}
            />
          )}
        </QueryView>
      </Panel>
    </Page>
  )
}
