import { useQuery } from '@tanstack/react-query'

import type { Catalogue } from '../../api/catalogue'
import { day, interval, money, significance } from '../../lib/format'
import { labelOf, VERDICTS } from '../../lib/labels'
import { DataTable } from '../../ui/DataTable'
import { Delta } from '../../ui/Delta'
import { EmptyHint } from '../../ui/EmptyHint'
import { TextLink } from '../../ui/links'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { Tag } from '../../ui/Tag'
import { synergiesQuery } from './queries'

/** Effects between this brand and its neighbours, both ways. */
export function BrandNeighbours({ brandId, names, currency }: { brandId: string; names: Catalogue; currency: string }) {
  const query = useQuery(synergiesQuery)
  return (
    <Panel
      title="Neighbours"
      flush
      note={query.data?.origin ? `Change of sales for +10% of the driver’s media over all observed weeks, up to ${day(query.data.origin)}. A q-value below 0.05 counts as evidence.` : undefined}
      actions={
        <TextLink to="/synergies" size="sm">
          All pairs
        </TextLink>
      }
    >
      <QueryView query={query} height={200} lines={4}>
        {({ effects }) => {
          const rows = effects
            .filter((effect) => effect.driver === brandId || effect.affected === brandId)
            .toSorted((a, b) => a.q_value - b.q_value)
          return rows.length === 0 ? (
            <EmptyHint title="No effect is known">Effects appear after the metrics agent has compared the brands.</EmptyHint>
          ) : (
            <DataTable
              caption="Effects between this brand and its neighbours"
              rows={rows}
              rowKey={(row) => row.id}
              minWidth={560}
              maxHeight={360}
              columns={[
                { key: 'pair', title: 'Driver → affected', cell: (row) => `${names.brand(row.driver)} → ${names.brand(row.affected)}` },
                { key: 'verdict', title: 'Conclusion', cell: (row) => <Tag label={labelOf(VERDICTS, row.verdict)} /> },
                { key: 'estimate', title: 'Effect', numeric: true, cell: (row) => <Delta value={row.verdict === 'no_evidence' ? 0 : row.estimate} text={money(row.estimate, currency, { compact: true, signed: true })} size="sm" /> },
                { key: 'interval', title: '95% interval', numeric: true, cell: (row) => interval(row.interval95, currency, { compact: true, signed: true }) },
                { key: 'q', title: 'q-value', numeric: true, cell: (row) => significance(row.q_value) },
              ]}
            />
          )
        }}
      </QueryView>
    </Panel>
  )
}
