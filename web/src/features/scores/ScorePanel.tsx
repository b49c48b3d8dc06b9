import { Group, Progress, SegmentedControl, SimpleGrid, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'

import type { Catalogue } from '../../api/catalogue'
import { api, unwrap } from '../../api/client'
import type { Score } from '../../api/types'
import { barsOption } from '../../charts/bars'
import { ChartFigure } from '../../charts/ChartFigure'
import { usePalette } from '../../charts/palette'
import { day, metricValue, MISSING, number, plural, quantity, share } from '../../lib/format'
import { BANDS, labelOf, SECTIONS, words } from '../../lib/labels'
import { EmptyHint } from '../../ui/EmptyHint'
import { Panel } from '../../ui/Panel'
import { sourceLine } from '../../ui/ProvenanceView'
import { QueryView } from '../../ui/QueryView'
import { Sparkline } from '../../ui/Sparkline'
import { Tag } from '../../ui/Tag'

/** The brand score, its sections, and what each metric adds or takes. */
export function ScorePanel({ brandId, names, currency }: { brandId: string; names: Catalogue; currency: string }) {
  const query = useQuery({
    queryKey: ['scores', brandId],
    queryFn: async (): Promise<Score[]> => unwrap(api.GET('/scores', { params: { query: { brand_id: brandId } } })),
  })
  const history = useQuery({
    queryKey: ['scores', 'history', brandId],
    queryFn: async () => unwrap(api.GET('/scores/history', { params: { query: { brand_id: brandId } } })),
  })
  const [method, setMethod] = useState<string | null>(null)
  const past = (history.data ?? []).flatMap((point) => (point.value === null || point.value === undefined ? [] : [point.value]))
  return (
    <Panel title="Score" note="0 to 100 against the benchmark of the peers">
      <QueryView query={query} height={260} isEmpty={(scores) => scores.length === 0} empty={<EmptyHint title="Not scored yet">The score appears after the metrics agent has run.</EmptyHint>}>
        {(scores) => {
          const methods = [...new Set(scores.map((score) => score.provenance.method))]
          const chosen = method && methods.includes(method) ? method : methods[0]
          const rows = scores.filter((score) => score.provenance.method === chosen)
          const score = rows.find((candidate) => !candidate.project) ?? rows[0]
          return (
            <>
              {methods.length > 1 && <SegmentedControl size="xs" mb="xs" aria-label="Method" value={chosen} onChange={setMethod} data={methods.map((value) => ({ value, label: words(value.replace(/^score[._]/, '')) }))} />}
              {score && <ScoreView score={score} names={names} currency={currency} past={past} />}
            </>
          )
        }}
      </QueryView>
    </Panel>
  )
}

function ScoreView({ score, names, currency, past }: { score: Score; names: Catalogue; currency: string; past: number[] }) {
  const palette = usePalette()
  const lines = useMemo(
    () =>
      score.lines
        .filter((line) => line.contribution !== null && line.contribution !== undefined)
        .toSorted((a, b) => Math.abs(b.contribution ?? 0) - Math.abs(a.contribution ?? 0)),
    [score.lines],
  )
  const top = lines.slice(0, 10)
  const option = useMemo(
    () =>
      barsOption(
        top.map((line) => ({ name: names.metric(line.metric)?.name ?? '…', value: line.contribution ?? 0, detail: SECTIONS[line.section] })),
        (value) => number(value, 1, { signed: true }),
        palette,
      ),
    [top, names, palette],
  )
  const written = (line: Score['lines'][number], value: number | null | undefined) => metricValue(value, names.metric(line.metric)?.unit ?? 'index', currency, { compact: true })
  return (
    <>
      <Group gap="md" mb="sm">
        <Text className="stat-value figure">{number(score.value, 1)}</Text>
        {score.band ? <Tag label={labelOf(BANDS, score.band)} title={BANDS[score.band].range} /> : <Text size="sm">not scorable</Text>}
        <Text size="xs" c="dimmed">
          week of {day(score.period)}, {share(score.coverage)} of the weight is known
        </Text>
        {past.length > 1 && (
          <Group gap={6} wrap="nowrap">
            <Sparkline values={past} label={`Score over the last ${past.length} weeks`} width={120} />
            <Text size="xs" c="dimmed" className="nowrap">
              last {plural(past.length, 'week')}
            </Text>
          </Group>
        )}
      </Group>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="xs" mb="sm">
        {score.sections.map((section) => (
          <div key={section.section}>
            <Group justify="space-between">
              <Text size="xs">{SECTIONS[section.section]}</Text>
              <Text size="xs" fw={600} className="figure">
                {section.value === null || section.value === undefined ? 'not scorable' : number(section.value, 1)}
              </Text>
            </Group>
            <Progress value={section.value ?? 0} size="sm" aria-label={`${SECTIONS[section.section]}: ${number(section.value, 1)} of 100`} />
          </div>
        ))}
      </SimpleGrid>
      {lines.length > 0 && (
        <ChartFigure
          title="What moves the score"
          unit="points against the peers’ mean"
          period={`week of ${day(score.period)}${lines.length > top.length ? `, ${top.length} largest of ${lines.length}` : ''}`}
          source={sourceLine(score.provenance)}
          option={option}
          height={Math.max(120, top.length * 26 + 40)}
          table={{
            columns: ['Metric', 'Contribution', 'Normalised', 'Value', 'Benchmark', 'Weight'],
            rows: score.lines.map((line) => [
              `${names.metric(line.metric)?.name ?? '…'} (${SECTIONS[line.section]})`,
              quantity(line.contribution, 'points', { signed: true }),
              line.normalised === null || line.normalised === undefined ? MISSING : number(line.normalised, 1),
              written(line, line.value),
              written(line, line.benchmark),
              number(line.weight, 2),
            ]),
          }}
        />
      )}
    </>
  )
}
