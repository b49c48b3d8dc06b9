import { Box, Group, SegmentedControl, Text, UnstyledButton } from '@mantine/core'
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'

import type { BrandTile } from '../../api/types'
import { day, interval, MISSING, money, number, plural, share } from '../../lib/format'
import { BANDS, labelOf } from '../../lib/labels'
import { Delta } from '../../ui/Delta'
import { EmptyHint } from '../../ui/EmptyHint'
import { TextLink } from '../../ui/links'
import { Panel } from '../../ui/Panel'
import { Sparkline } from '../../ui/Sparkline'
import { Tag } from '../../ui/Tag'

type Order = 'name' | 'score' | 'sales' | 'change' | 'forecast' | 'open'
type Role = 'primary' | 'competitor' | 'benchmark'

interface Outlook {
  mean: number
  change: number | null
}

/** The 13-week forecast as a sum, against the last 13 known weeks. */
function outlook(tile: BrandTile): Outlook | null {
  if (tile.forecast.length === 0) return null
  const mean = tile.forecast.reduce((sum, point) => sum + point.mean, 0)
  const recent = tile.sales.slice(-tile.forecast.length)
  const before = recent.reduce((sum, point) => sum + point.value, 0)
  return { mean, change: recent.length === tile.forecast.length && before > 0 ? mean / before - 1 : null }
}

const last4 = (tile: BrandTile) => (tile.sales.length >= 4 ? tile.sales.slice(-4).reduce((sum, point) => sum + point.value, 0) : null)

const KEYS: Record<Order, (tile: BrandTile) => number | string | null> = {
  name: (tile) => tile.brand.name,
  score: (tile) => tile.score?.value ?? null,
  sales: last4,
  change: (tile) => tile.change ?? null,
  forecast: (tile) => outlook(tile)?.change ?? null,
  open: (tile) => tile.open_recommendations,
}

export function sortTiles(tiles: BrandTile[], by: Order, up: boolean): BrandTile[] {
  const key = KEYS[by]
  return tiles.toSorted((a, b) => {
    const [left, right] = [key(a), key(b)]
    // What is missing stays at the end, whichever way the rest is sorted.
    if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1
    const order = typeof left === 'string' ? left.localeCompare(String(right)) : left - Number(right)
    return up ? order : -order
  })
}

export function BrandTable({ tiles, currency }: { tiles: BrandTile[]; currency: string }) {
  const [role, setRole] = useState<Role>('primary')
  const [order, setOrder] = useState<{ by: Order; up: boolean }>({ by: 'sales', up: false })
  const rows = sortTiles(tiles.filter((tile) => tile.brand.role === role), order.by, order.up)
  const counts = (wanted: Role) => tiles.filter((tile) => tile.brand.role === wanted).length
  const head = (by: Order, text: string, numeric = true) => (
    <th scope="col" className={numeric ? 'numeric' : undefined} aria-sort={order.by === by ? (order.up ? 'ascending' : 'descending') : 'none'}>
      <UnstyledButton className="sort" onClick={() => setOrder({ by, up: order.by === by ? !order.up : by === 'name' })}>
        {text}
        {order.by === by && (order.up ? <IconArrowUp size={12} aria-hidden /> : <IconArrowDown size={12} aria-hidden />)}
      </UnstyledButton>
    </th>
  )
  return (
    <Panel
      title="Brands"
      flush
      note="Score 0 to 100 and its change in points; sales of the last 4 weeks against the 4 before; forecast of the next 13 weeks against the last 13."
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Which brands"
          value={role}
          onChange={(value) => setRole(value as Role)}
          data={(['primary', 'competitor', 'benchmark'] as const)
            .filter((value) => counts(value) > 0)
            .map((value) => ({ value, label: `${{ primary: 'Own', competitor: 'Competitors', benchmark: 'Benchmarks' }[value]} (${counts(value)})` }))}
        />
      }
    >
      {rows.length === 0 ? (
        <EmptyHint title="No brands of this kind">Brands appear with the first import that names them.</EmptyHint>
      ) : (
        <section className="table-scroll" tabIndex={0} aria-label="Table of the brands">
          <table className="brand-table">
            <thead>
              <tr>
                {head('name', 'Brand', false)}
                {head('score', 'Score', false)}
                {head('sales', 'Sales, 4 weeks')}
                {head('change', 'Change')}
                <th scope="col">26 weeks and forecast</th>
                {head('forecast', 'Forecast, 13 weeks')}
                {head('open', 'In the inbox')}
                <th scope="col" className="numeric">
                  Latest week
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((tile) => (
                <BrandRow key={tile.brand.id} tile={tile} currency={currency} />
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Panel>
  )
}

function BrandRow({ tile, currency }: { tile: BrandTile; currency: string }) {
  const { brand, score } = tile
  const ahead = outlook(tile)
  const end = tile.forecast.at(-1)
  const moved = score && score.value !== null && score.value !== undefined && score.previous !== null && score.previous !== undefined ? score.value - score.previous : null
  return (
    <tr>
      <th scope="row">
        <Link to="/brands/$brandId" params={{ brandId: brand.id }} className="brand-link">
          {brand.name}
        </Link>
        <Text size="xs" c="dimmed" fw={400}>
          {brand.category || 'no category'}
        </Text>
      </th>
      <td>
        {score && score.value !== null && score.value !== undefined ? (
          <Group gap={6} wrap="nowrap">
            <Text fw={650} className="figure" span>
              {number(score.value, 1)}
            </Text>
            {score.band && (
              <Box component="span" visibleFrom="sm">
                <Tag label={labelOf(BANDS, score.band)} title={`Band: ${BANDS[score.band].range}`} />
              </Box>
            )}
            <Delta value={moved} text={number(moved, 1, { signed: true })} against="points against the score before" />
          </Group>
        ) : (
          <Text size="xs" c="dimmed">
            not scorable yet
          </Text>
        )}
        {score && score.coverage < 0.95 && (
          <Text size="xs" c="dimmed">
            {share(score.coverage)} of weight known
          </Text>
        )}
      </td>
      <td className="numeric">{money(last4(tile), currency, { compact: true })}</td>
      <td className="numeric">
        <Delta value={tile.change} text={share(tile.change, 1, { signed: true })} against="against the 4 weeks before" size="sm" />
      </td>
      <td>
        <Sparkline
          values={tile.sales.map((point) => point.value)}
          forecast={tile.forecast.map((point) => ({ mean: point.mean, band: point.interval80 }))}
          label={`Weekly sales of ${brand.name}, 26 weeks and 13 weeks of forecast`}
        />
      </td>
      <td className="numeric">
        {ahead ? (
          <>
            <div>
              {money(ahead.mean, currency, { compact: true })} <Delta value={ahead.change} text={share(ahead.change, 1, { signed: true })} />
            </div>
            {end && (
              <Text size="xs" c="dimmed">
                80% in week {tile.forecast.length}: {interval(end.interval80, currency, { compact: true })}
              </Text>
            )}
          </>
        ) : (
          MISSING
        )}
      </td>
      <td className="numeric">
        {tile.open_recommendations > 0 ? (
          <TextLink
            to="/recommendations"
            search={{ brand: brand.id }}
            size="sm"
            aria-label={`${plural(tile.open_recommendations, 'open recommendation')} for ${brand.name}`}
          >
            {tile.open_recommendations}
          </TextLink>
        ) : (
          0
        )}
      </td>
      <td className="numeric">{day(tile.data_until)}</td>
    </tr>
  )
}
