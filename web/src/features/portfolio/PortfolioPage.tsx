import { Group, SimpleGrid } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'

import type { Portfolio } from '../../api/types'
import { ChartFigure } from '../../charts/ChartFigure'
import { usePalette } from '../../charts/palette'
import { salesOption } from '../../charts/sales'
import { day, daysBetween, money, plural, share, weeks } from '../../lib/format'
import { AGENT_STATUS, AGENTS, labelOf } from '../../lib/labels'
import { Delta } from '../../ui/Delta'
import { EmptyHint } from '../../ui/EmptyHint'
import { ButtonLink, TextLink } from '../../ui/links'
import { Page } from '../../ui/Page'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { Stat } from '../../ui/Stat'
import { Tag } from '../../ui/Tag'
import { BrandTable } from './BrandTable'
import { portfolioQuery } from './queries'

export function PortfolioPage() {
  const query = useQuery(portfolioQuery)
  return (
    <Page
      title="Portfolio overview"
      subtitle={query.data ? `${query.data.organisation}, data up to ${day(query.data.as_of)}` : undefined}
      actions={
        <ButtonLink to="/recommendations" variant="filled">
          Open the inbox
        </ButtonLink>
      }
    >
      <QueryView
        query={query}
        height={520}
        lines={3}
        isEmpty={(portfolio) => portfolio.brands.length === 0}
        empty={
          <Panel title="Brands">
            <EmptyHint title="There are no brands yet" action={<ButtonLink to="/imports">Import a file</ButtonLink>}>
              Brands appear when a file of metrics is imported. A mapping says which column is which metric.
            </EmptyHint>
          </Panel>
        }
      >
        {(portfolio) => <Overview portfolio={portfolio} />}
      </QueryView>
    </Page>
  )
}

function Overview({ portfolio }: { portfolio: Portfolio }) {
  const { currency, totals, sales } = portfolio
  const palette = usePalette()
  const change = totals.sales_previous > 0 ? totals.sales / totals.sales_previous - 1 : null
  const option = useMemo(() => salesOption(sales, currency, palette), [sales, currency, palette])
  const own = portfolio.brands.filter((tile) => tile.brand.role === 'primary')
  const untils = own.flatMap((tile) => (tile.data_until ? [tile.data_until] : [])).toSorted()
  return (
    <>
      <SimpleGrid cols={{ base: 2, sm: 3, lg: totals.profit === null || totals.profit === undefined ? 4 : 5 }} spacing="sm">
        <Stat
          label="Sales, last 4 weeks"
          value={money(totals.sales, currency, { compact: true })}
          detail={<Delta value={change} text={`${share(change, 1, { signed: true })} on the 4 weeks before`} />}
        />
        <Stat label="Media spend, last 4 weeks" value={money(totals.spend, currency, { compact: true })} detail={`${share(totals.sales > 0 ? totals.spend / totals.sales : null, 1)} of sales`} />
        {totals.profit !== null && totals.profit !== undefined && (
          <Stat label="Profit, last 4 weeks" value={money(totals.profit, currency, { compact: true })} detail="margin less media and promotion" />
        )}
        <Stat
          label="Open recommendations"
          value={portfolio.open_recommendations}
          detail={
            <TextLink to="/recommendations" size="xs">
              Decide in the inbox
            </TextLink>
          }
        />
        <Stat
          label="Data until"
          value={day(portfolio.as_of)}
          detail={untils[0] && daysBetween(untils[0], portfolio.as_of) >= 7 ? `oldest brand: ${day(untils[0])}` : `${plural(own.length, 'own brand')}, all up to date`}
        />
      </SimpleGrid>
      <Panel title="Sales of own brands">
        <ChartFigure
          title="Total sales"
          unit={`${currency} a week`}
          period={sales.length > 0 ? `${day(sales[0]?.period)} to ${day(sales.at(-1)?.period)}, ${weeks(sales.length)}` : 'no weeks yet'}
          source="sum of the imported outcome metric over own brands and projects"
          option={option}
          height={220}
          table={{ columns: ['Week of', `Sales (${currency})`], rows: sales.map((point) => [day(point.period), money(point.value, currency)]).toReversed() }}
        />
      </Panel>
      <BrandTable tiles={portfolio.brands} currency={currency} />
      <Panel
        title="Agents"
        actions={
          <TextLink to="/agents" size="sm">
            See what they do
          </TextLink>
        }
      >
        <Group gap="lg">
          {portfolio.agents.map((agent) => (
            <Group key={agent.kind} gap={6}>
              <span>{labelOf(AGENTS, agent.kind).text}</span>
              <Tag label={labelOf(AGENT_STATUS, agent.status)} />
            </Group>
          ))}
        </Group>
      </Panel>
    </>
  )
}
