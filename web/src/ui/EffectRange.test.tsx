import { MantineProvider } from '@mantine/core'
import { render, screen } from '@testing-library/react'
import { describe, expect, it } from 'vitest'

import type { Effect } from '../api/types'
import { EffectRange, effectWords, excludesZero } from './EffectRange'

const effect: Effect = { value: 412_300, interval80: { low: 188_000, high: 641_000 }, base: 8_420_000, unit: 'EUR', horizon_weeks: 12 }

describe('an effect', () => {
  it('names value, interval, horizon and base', () => {
    expect(effectWords(effect)).toEqual({
      value: '+€412k',
      range: '80% interval +€188k to +€641k over 12 weeks',
      base: 'against €8.42m without it',
      relative: '+4.9%',
    })
  })

  it('claims no base and no relative change where there is none', () => {
    expect(effectWords({ ...effect, base: undefined })).toMatchObject({ base: 'no base level is stated', relative: null })
    expect(effectWords({ ...effect, base: 0 }).relative).toBeNull()
    expect(effectWords(null)).toMatchObject({ range: 'no effect is claimed' })
  })

  it('does not exclude zero when the interval touches it', () => {
    expect(excludesZero(effect)).toBe(true)
    expect(excludesZero({ ...effect, interval80: { low: 0, high: 5 } })).toBe(false)
    expect(excludesZero({ ...effect, interval80: { low: -9, high: -1 } })).toBe(true)
  })

  it('is drawn left of zero when it is negative, and says the same in words', () => {
    const { container } = render(
      <MantineProvider>
        <EffectRange effect={{ ...effect, value: -50, interval80: { low: -80, high: -20 } }} />
      </MantineProvider>,
    )
    expect(screen.getByRole('img').getAttribute('aria-label')).toBe('−€50, 80% interval −€80 to −€20 over 12 weeks')
    const dot = Number(container.querySelector('circle')?.getAttribute('cx'))
    const zero = Number(container.querySelector('.effect-zero')?.getAttribute('x1'))
    expect(dot).toBeLessThan(zero)
    expect(container.querySelector('circle.effect-bad')).not.toBeNull()
  })
})
