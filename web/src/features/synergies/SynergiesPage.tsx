import { Select, Switch, Text } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'

import { useCatalogue } from '../../api/catalogue'
import { useCurrency } from '../../api/session'
import type { CrossEffect, Synergies } from '../../api/types'
import { ChartFigure } from '../../charts/ChartFigure'
import { effectsOption, effectsTable } from '../../charts/effects'
import { usePalette } from '../../charts/palette'
import { day, interval, money, number, significance } from '../../lib/format'
import { labelOf, VERDICTS } from '../../lib/labels'
import { EmptyHint } from '../../ui/EmptyHint'
import { Page } from '../../ui/Page'
import { Panel } from '../../ui/Panel'
import { ProvenanceView, sourceLine } from '../../ui/ProvenanceView'
import { QueryView } from '../../ui/QueryView'
import { Tag } from '../../ui/Tag'
import { synergiesQuery } from './queries'

export function SynergiesPage() {
  const query = useQuery(synergiesQuery)
  return (
    <Page title="Synergies" subtitle="What media of one brand does to the sales of another: it lifts (halo) or takes (cannibalisation).">
      <QueryView query={query} height={480} isEmpty={(data) => data.effects.length === 0} empty={<EmptyHint title="No pair was compared yet">The metrics agent compares every ordered pair of own brands. Let it run on the agents page.</EmptyHint>}>
        {(data) => <Matrix data={data} />}
      </QueryView>
    </Page>
  )
}

const told = (effect: CrossEffect) => effect.verdict === 'halo' || effect.verdict === 'cannibalisation'

function Matrix({ data }: { data: Synergies }) {
  const names = useCatalogue()
  const currency = useCurrency()
  const palette = usePalette()
  const narrow = useMediaQuery('(max-width: 48em)') ?? false
  const [hide, setHide] = useState(true)
  const [picked, setPicked] = useState<CrossEffect | null>(null)
  const shown = useMemo(
    () => data.effects.filter((effect) => !hide || told(effect)).toSorted((a, b) => a.q_value - b.q_value),
    [data.effects, hide],
  )
  const order = useMemo(
    () => [...new Set(data.effects.flatMap((effect) => [effect.driver, effect.affected]))].toSorted((a, b) => names.brand(a).localeCompare(names.brand(b))),
    [data.effects, names],
  )
  const option = useMemo(() => effectsOption(shown, order, order, names.brand, currency, palette, narrow), [shown, order, names, currency, palette, narrow])
  const source = data.effects[0] ? sourceLine(data.effects[0].provenance) : 'stored cross effects'
  return (
    <>
      <Panel
        title="Matrix"
        note={`${number(data.effects.filter(told).length)} of ${number(data.candidates)} candidate pairs can be told from zero at a false-discovery rate of 5%.`}
        actions={<Switch size="xs" label="Hide pairs without evidence" checked={hide} onChange={(event) => setHide(event.currentTarget.checked)} />}
      >
        <ChartFigure
          title="Effect of +10% media of the row’s brand on sales of the column’s brand"
          unit={`${currency} over all observed weeks`}
          period={data.origin ? `up to ${day(data.origin)}` : 'no weeks yet'}
          source={source}
          option={option}
          table={effectsTable(shown, names.brand, currency)}
          height={Math.max(280, order.length * 40 + 120)}
          onSelect={(item) => setPicked((item as { effect?: CrossEffect } | null)?.effect ?? null)}
        />
      </Panel>
      <Select
        label="Look at one pair"
        placeholder="Choose a pair, or a cell of the matrix"
        searchable
        clearable
        maw={420}
        value={picked?.id ?? null}
        onChange={(id) => setPicked(data.effects.find((effect) => effect.id === id) ?? null)}
        data={shown.map((effect) => ({ value: effect.id, label: `${names.brand(effect.driver)} → ${names.brand(effect.affected)}` }))}
      />
      {picked && <PairPanel effect={picked} driver={names.brand(picked.driver)} affected={names.brand(picked.affected)} currency={currency} />}
    </>
  )
}

function PairPanel({ effect, driver, affected, currency }: { effect: CrossEffect; driver: string; affected: string; currency: string }) {
  return (
    <Panel title={`${driver} → ${affected}`} actions={<Tag label={labelOf(VERDICTS, effect.verdict)} />}>
      <Text size="sm" mb="xs">
        {money(effect.estimate, currency, { signed: true })} of {affected}’s sales for +10% of {driver}’s media (80% interval{' '}
        {interval(effect.interval80, currency, { signed: true })}, 95% {interval(effect.interval95, currency, { signed: true })}, standard error{' '}
        {money(effect.std_error, currency)}, p {significance(effect.p_value)}, q {significance(effect.q_value)}).
      </Text>
      <ProvenanceView provenance={effect.provenance} />
    </Panel>
  )
}
