import { Text, VisuallyHidden } from '@mantine/core'

import type { Effect } from '../api/types'
import { interval, MISSING, quantity, weeks } from '../lib/format'

/** What an effect says in words: value, interval, horizon, and the base it is compared with. */
export function effectWords(effect: Effect | null | undefined): { value: string; range: string; base: string; relative: string | null } {
  if (!effect) return { value: MISSING, range: 'no effect is claimed', base: 'no base', relative: null }
  const { value, interval80, unit, base, horizon_weeks } = effect
  const relative = base !== null && base !== undefined && base !== 0 ? value / Math.abs(base) : null
  return {
    value: quantity(value, unit, { compact: true, signed: true }),
    range: `80% interval ${interval(interval80, unit, { compact: true, signed: true })} over ${weeks(horizon_weeks)}`,
    base: base === null || base === undefined ? 'no base level is stated' : `against ${quantity(base, unit, { compact: true })} without it`,
    relative: relative === null ? null : `${(relative * 100).toLocaleString('en-GB', { maximumFractionDigits: 1, signDisplay: 'exceptZero' }).replace('-', '−')}%`,
  }
}

/** Whether the 80 % interval lies wholly on one side of zero. */
export function excludesZero(effect: Effect): boolean {
  return effect.interval80.low > 0 || effect.interval80.high < 0
}

/** The interval of an effect drawn against zero, with the words beside it. */
export function EffectRange({ effect, width = 160, words = true }: { effect: Effect; width?: number; words?: boolean }) {
  const { low, high } = effect.interval80
  const from = Math.min(low, 0, effect.value)
  const to = Math.max(high, 0, effect.value)
  const pad = (to - from || 1) * 0.08
  const x = (value: number) => ((value - from + pad) / (to - from + 2 * pad || 1)) * width
  const text = effectWords(effect)
  return (
    <span className="effect-range">
      <svg role="img" aria-label={`${text.value}, ${text.range}`} width={width} height={18} viewBox={`0 0 ${width} 18`}>
        <line className="effect-zero" x1={x(0)} x2={x(0)} y1={1} y2={17} />
        <line className={effect.value >= 0 ? 'effect-good' : 'effect-bad'} x1={x(low)} x2={x(high)} y1={9} y2={9} />
        <circle className={effect.value >= 0 ? 'effect-good' : 'effect-bad'} cx={x(effect.value)} cy={9} r={4} />
      </svg>
      {words ? (
        <Text size="xs" c="dimmed" span>
          {text.range}
        </Text>
      ) : (
        <VisuallyHidden>{text.range}</VisuallyHidden>
      )}
    </span>
  )
}
