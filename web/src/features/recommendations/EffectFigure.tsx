import { SimpleGrid, Text } from '@mantine/core'
import { useMemo } from 'react'

import type { Effect, Provenance } from '../../api/types'
import { barsOption } from '../../charts/bars'
import { ChartFigure } from '../../charts/ChartFigure'
import { usePalette } from '../../charts/palette'
import { interval, probability, quantity, weeks } from '../../lib/format'
import { effectWords, excludesZero } from '../../ui/EffectRange'
import { sourceLine } from '../../ui/ProvenanceView'

interface Props {
  effect: Effect
  confidence: number | null | undefined
  provenance: Provenance | undefined
}

/** The expected effect against the level without it: a drawing around zero and the numbers. */
export function EffectFigure({ effect, confidence, provenance }: Props) {
  const palette = usePalette()
  const { unit, base, value, interval80 } = effect
  const option = useMemo(
    () =>
      barsOption(
        [{ name: 'Expected change', value, low: interval80.low, high: interval80.high }],
        (amount) => quantity(amount, unit, { compact: true, signed: true }),
        palette,
      ),
    [value, interval80.low, interval80.high, unit, palette],
  )
  const words = effectWords(effect)
  const hasBase = base !== null && base !== undefined
  const facts: [string, string][] = [
    ...(hasBase
      ? ([
          ['Without it', quantity(base, unit, { compact: true })],
          ['With it', quantity(base + value, unit, { compact: true })],
        ] satisfies [string, string][])
      : []),
    ['Change', words.relative ? `${words.value} (${words.relative})` : words.value],
    ['80% interval', interval(interval80, unit, { compact: true, signed: true })],
    ['Probability of a gain', probability(confidence)],
    ['Horizon', `${weeks(effect.horizon_weeks)} and carry-over`],
  ]
  return (
    <>
      <SimpleGrid cols={{ base: 2, lg: facts.length > 4 ? 3 : 4 }} spacing="xs" mb="xs">
        {facts.map(([name, text]) => (
          <div key={name}>
            <Text size="xs" c="dimmed">
              {name}
            </Text>
            <Text size="sm" fw={600} className="figure">
              {text}
            </Text>
          </div>
        ))}
      </SimpleGrid>
      {!excludesZero(effect) && (
        <Text size="xs" c="dimmed">
          The 80% interval holds zero: the sign of the effect is not certain.
        </Text>
      )}
      <ChartFigure
        title="Change against not acting"
        unit={`${unit}, zero is the level without it`}
        period={`next ${weeks(effect.horizon_weeks)}`}
        source={provenance ? sourceLine(provenance) : 'see the evidence'}
        option={option}
        height={96}
        table={{
          columns: ['', 'Low (80%)', 'Expected', 'High (80%)'],
          rows: [
            ['Change', quantity(interval80.low, unit, { signed: true }), quantity(value, unit, { signed: true }), quantity(interval80.high, unit, { signed: true })],
            ...(hasBase
              ? [['Level with it', quantity(base + interval80.low, unit), quantity(base + value, unit), quantity(base + interval80.high, unit)]]
              : []),
          ],
        }}
      />
    </>
  )
}
