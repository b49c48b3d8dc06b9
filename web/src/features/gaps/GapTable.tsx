import { SegmentedControl, Text } from '@mantine/core'
import { useState } from 'react'

import type { Catalogue } from '../../api/catalogue'
import type { Gap, Reference } from '../../api/types'
import { metricValue, number, share } from '../../lib/format'
import { REFERENCES, SECTIONS } from '../../lib/labels'
import { DataTable } from '../../ui/DataTable'
import { Delta } from '../../ui/Delta'
import { EmptyHint } from '../../ui/EmptyHint'

interface Props {
  gaps: Gap[]
  names: Catalogue
  currency: string
  withBrand?: boolean
}

/** Where a brand is behind, the widest first. A positive gap means behind, whichever direction is better. */
export function GapTable({ gaps, names, currency, withBrand = false }: Props) {
  const [reference, setReference] = useState<Reference>('benchmark')
  const rows = gaps.filter((gap) => gap.reference === reference).toSorted((a, b) => (b.relative ?? -Infinity) - (a.relative ?? -Infinity))
  const write = (gap: Gap, value: number | null | undefined, signed = false) => metricValue(value, names.metric(gap.metric)?.unit ?? 'index', currency, { compact: true, signed })
  return (
    <>
      <div className="panel-controls">
        <SegmentedControl size="xs" aria-label="Measured to" value={reference} onChange={(value) => setReference(value as Reference)} data={Object.entries(REFERENCES).map(([value, label]) => ({ value, label }))} />
      </div>
      {rows.length === 0 ? (
        <EmptyHint title="No gaps are known">They appear after the strategy agent has compared the brands.</EmptyHint>
      ) : (
        <DataTable
          caption={`Gaps to the ${REFERENCES[reference].toLowerCase()}`}
          rows={rows}
          rowKey={(gap) => `${gap.brand}/${gap.metric}`}
          minWidth={withBrand ? 720 : 400}
          maxHeight={420}
          columns={[
            {
              key: 'metric',
              title: 'Metric',
              cell: (gap) => (
                <>
                  {withBrand && `${names.brand(gap.brand)}: `}
                  {names.metric(gap.metric)?.name ?? '…'}{' '}
                  <Text size="xs" c="dimmed" span display={withBrand ? undefined : 'block'}>
                    {SECTIONS[names.metric(gap.metric)?.section ?? 'marketplace']}
                  </Text>
                </>
              ),
            },
            { key: 'value', title: 'Brand', numeric: true, cell: (gap) => write(gap, gap.value) },
            { key: 'reference', title: REFERENCES[reference], numeric: true, cell: (gap) => write(gap, gap.reference_value) },
            // On a brand's page there is room for the share only.
            ...(withBrand
              ? [
                  {
                    key: 'gap',
                    title: 'Behind by',
                    numeric: true,
                    cell: (gap: Gap) => (
                      <span className={gap.gap > 0 ? 'bad' : 'good'}>
                        {gap.gap > 0 ? write(gap, gap.gap) : `ahead by ${write(gap, -gap.gap)}`}
                      </span>
                    ),
                  },
                ]
              : []),
            { key: 'relative', title: withBrand ? 'In percent' : 'Behind by', numeric: true, cell: (gap) => <Delta value={gap.relative === null || gap.relative === undefined ? null : -gap.relative} text={share(gap.relative === null || gap.relative === undefined ? null : -gap.relative, 0, { signed: true })} size="sm" /> },
            ...(withBrand ? [{ key: 'without', title: 'Without leader', numeric: true, cell: (gap: Gap) => write(gap, gap.without_leader, true) }] : []),
            { key: 'rank', title: 'Rank', numeric: true, cell: (gap) => `${number(gap.rank)} of ${number(gap.peers)}` },
          ]}
        />
      )}
    </>
  )
}
