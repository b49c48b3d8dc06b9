import { Text } from '@mantine/core'

import type { PlanLine } from '../api/types'
import { MISSING, money, number, share } from '../lib/format'
import { DataTable } from './DataTable'

interface Props {
  lines: PlanLine[]
  currency: string
  brand: (id: string) => string
  channel: (id: string) => string
  caption: string
  maxHeight?: number
}

const change = (line: PlanLine) => Number(line.weekly) - Number(line.current)

/** Lines of a plan, the largest change first: what is spent now, what is planned, and what one more unit would earn. */
export function PlanLines({ lines, currency, brand, channel, caption, maxHeight }: Props) {
  const sorted = lines.toSorted((a, b) => Math.abs(change(b)) - Math.abs(change(a)))
  return (
    <div>
      <DataTable
        caption={caption}
        rows={sorted}
        rowKey={(line) => `${line.brand}/${line.channel}`}
        minWidth={620}
        maxHeight={maxHeight}
        columns={[
          {
            key: 'line',
            title: 'Brand and channel',
            cell: (line) => (
              <>
                {brand(line.brand)}
                <Text size="xs" c="dimmed" span>
                  {' '}
                  {channel(line.channel)}
                </Text>
              </>
            ),
          },
          { key: 'current', title: 'Now a week', numeric: true, cell: (line) => money(line.current, currency) },
          { key: 'weekly', title: 'Planned', numeric: true, cell: (line) => <strong>{money(line.weekly, currency)}</strong> },
          {
            key: 'change',
            title: 'Change',
            numeric: true,
            cell: (line) => {
              const value = change(line)
              const relative = Number(line.current) > 0 ? ` (${share(value / Number(line.current), 0, { signed: true })})` : ''
              return Math.abs(value) < 0.005 ? (
                <span className="muted">unchanged</span>
              ) : (
                <Text size="sm" span className="figure">
                  {money(value, currency, { signed: true })}
                  <span className="muted">{relative}</span>
                </Text>
              )
            },
          },
          {
            key: 'marginal',
            title: 'Marginal return',
            numeric: true,
            cell: (line) =>
              line.marginal_return === null || line.marginal_return === undefined ? (
                <span title="no curve could be fitted">{MISSING}</span>
              ) : (
                <span className={line.marginal_return < 1 ? 'bad' : 'good'} title="Margin per extra unit of spend under this plan; 1 breaks even">
                  {number(line.marginal_return, 2)}×
                </span>
              ),
          },
          { key: 'bounds', title: 'Allowed', numeric: true, cell: (line) => Number(line.lower) === 0 ? `up to ${money(line.upper, currency, { compact: true })}` : `${money(line.lower, currency, { compact: true })} to ${money(line.upper, currency, { compact: true })}` },
        ]}
      />
      <Text size="xs" c="dimmed" mt={4}>
        Marginal return: margin earned by one more unit of spend under this plan; below 1× the last unit loses money.
      </Text>
    </div>
  )
}
