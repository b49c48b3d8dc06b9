import { describe, expect, it } from 'vitest'

import { addDays, ago, instantIn, significance, daysBetween, duration, interval, metricValue, MISSING, money, number, probability, quantity, share, shortDay, day } from './format'

describe('numbers', () => {
  it('writes what is missing as a dash and never as zero', () => {
    for (const written of [money(null, 'EUR'), number(undefined), share(Number.NaN), quantity(null, 'EUR'), interval(null, 'EUR'), probability(null)]) {
      expect(written).toBe(MISSING)
    }
    expect(money(0, 'EUR')).toBe('€0')
  })

  it('reads decimals from text and shortens large amounts', () => {
    expect(money('1234567.89', 'EUR')).toBe('€1,234,568')
    expect(money('1234567.89', 'EUR', { compact: true })).toBe('€1.23m')
    expect(money(999, 'EUR', { compact: true })).toBe('€999')
  })

  it('marks the sign of a change with a true minus and a plus', () => {
    expect(money(-1500, 'EUR', { signed: true })).toBe('−€1,500')
    expect(money(1500, 'EUR', { signed: true })).toBe('+€1,500')
    expect(share(-0.123, 1, { signed: true })).toBe('−12.3%')
    expect(money(0, 'EUR', { signed: true })).toBe('€0')
  })

  it('keeps about three digits', () => {
    expect(number(7.12345)).toBe('7.12')
    expect(number(71.2345)).toBe('71.2')
    expect(number(712.345)).toBe('712')
  })

  it('never shows a probability as certain', () => {
    expect(probability(0.9999)).toBe('> 99%')
    expect(probability(0.0001)).toBe('< 1%')
    expect(probability(0.84)).toBe('84%')
  })

  it('writes every unit of the contract', () => {
    expect(quantity(1200, 'USD')).toBe('US$1,200')
    expect(quantity(0.256, 'ratio')).toBe('25.6%')
    expect(quantity(25.6, 'percent')).toBe('25.6%')
    expect(quantity(3.4, 'points', { signed: true })).toBe('+3.4 pts')
    expect(quantity(2.5, 'seconds')).toBe('2.5 s')
    expect(quantity(3, 'rank')).toBe('#3')
    expect(quantity(1, 'weeks')).toBe('1 week')
    expect(metricValue(1200, 'currency', 'GBP')).toBe('£1,200')
  })

  it('never writes a p-value as zero', () => {
    expect(significance(0.00001)).toBe('< 0.001')
    expect(significance(0.0421)).toBe('0.042')
  })

  it('writes both ends of an interval in the unit', () => {
    expect(interval({ low: -1000, high: 2500 }, 'EUR', { signed: true })).toBe('−€1,000 to +€2,500')
    expect(interval({ low: 2.02, high: 3.19 }, 'margin_per_unit')).toBe('2.02 to 3.19 margin per unit')
    expect(interval({ low: 1, high: 4 }, 'weeks')).toBe('1 week to 4 weeks')
    expect(interval({ low: 2, high: 4 }, 'weeks')).toBe('2 to 4 weeks')
  })
})

describe('dates', () => {
  it('reads a calendar day in no time zone', () => {
    expect(day('2025-12-22')).toBe('22 Dec 2025')
    expect(shortDay('2025-01-01')).toBe('1 Jan')
    expect(day(null)).toBe(MISSING)
  })

  it('reads an instant in the zone of a schedule', () => {
    expect(instantIn('2026-11-24T03:15:00Z', 'Europe/Berlin')).toBe('Tue 24 Nov, 04:15')
  })

  it('counts whole days over the change of the clocks', () => {
    expect(daysBetween('2025-03-29', '2025-03-31')).toBe(2)
    expect(addDays('2025-10-25', 2)).toBe('2025-10-27')
    expect(daysBetween('2025-12-31', '2025-12-24')).toBe(-7)
  })

  it('tells how long ago, and how soon', () => {
    const now = Date.parse('2025-01-01T12:00:00Z')
    expect(ago('2025-01-01T11:57:00Z', now)).toBe('3 min ago')
    expect(ago('2025-01-01T14:00:00Z', now)).toBe('in 2 h')
    expect(ago('2025-01-01T11:59:58Z', now)).toBe('now')
  })

  it('tells how long something took', () => {
    expect(duration('2025-01-01T12:00:00.000Z', '2025-01-01T12:00:00.250Z')).toBe('250 ms')
    expect(duration('2025-01-01T12:00:00Z', '2025-01-01T12:00:04.200Z')).toBe('4.2 s')
    expect(duration('2025-01-01T12:00:00Z', null)).toBe(MISSING)
  })
})
