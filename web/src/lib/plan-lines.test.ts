import { describe, expect, it } from 'vitest'

import { decimal, isChanged, lineKey, outsideBounds, setLine, setLock, total, withAmounts, type EditLine } from './plan-lines'

const line = (channel: string, weekly: number): EditLine => ({ brand: 'b', channel, weekly, current: weekly, lower: weekly / 2, upper: weekly * 2, locked: false })
const lines = [line('x', 1000), line('y', 2000), line('z', 3000.01)]
const key = (index: number) => lineKey(lines[index] ?? line('', 0))
const amounts = (edited: EditLine[]) => edited.map((each) => each.weekly)

describe('editing a plan', () => {
  it('keeps the total to the cent, whatever is typed', () => {
    for (const wanted of [0, 0.01, 333.33, 999.99, 1000, 2500.5, 6000.01, 1e9]) {
      expect(decimal(total(setLine(lines, key(0), wanted, true)))).toBe('6000.01')
    }
  })

  it('takes from the others in proportion', () => {
    expect(amounts(setLine([line('x', 1000), line('y', 2000), line('z', 3000)], key(0), 1500, true))).toEqual([1500, 1800, 2700])
  })

  it('leaves locked lines alone', () => {
    const edited = setLine(setLock(lines, key(1), true), key(0), 1500, true)
    expect(amounts(edited)).toEqual([1500, 2000, 2500.01])
  })

  it('cannot take more than the others have', () => {
    expect(amounts(setLine(lines, key(0), 99_999, true))).toEqual([6000.01, 0, 0])
  })

  it('stays as it is when every other line is locked and the total is kept', () => {
    const locked = setLock(setLock(lines, key(1), true), key(2), true)
    expect(amounts(setLine(locked, key(0), 5000, true))).toEqual([1000, 2000, 3000.01])
  })

  it('gives back to lines that stand at zero', () => {
    const edited = setLine([line('x', 300), line('y', 0), line('z', 0)], key(0), 100, true)
    expect(amounts(edited)).toEqual([100, 100, 100])
  })

  it('changes the total when it need not be kept, and never goes below zero', () => {
    expect(total(setLine(lines, key(0), 4000, false))).toBe(9000.01)
    expect(amounts(setLine(lines, key(0), -5, false))[0]).toBe(0)
  })

  it('knows what changed and what is out of bounds', () => {
    const [edited] = setLine(lines, key(0), 2500, false)
    expect(edited && isChanged(edited)).toBe(true)
    expect(edited && outsideBounds(edited)).toBe(true)
    expect(lines.some(isChanged) || lines.some(outsideBounds)).toBe(false)
  })

  it('takes over the amounts of a computed plan and leaves lines that it does not name', () => {
    const planned = [{ ...line('x', 1000), weekly: '750.25' }, { ...line('z', 3000.01), weekly: '3249.76' }].map((each) => ({ ...each, current: '0', lower: '0', upper: '0' }))
    expect(amounts(withAmounts(lines, planned))).toEqual([750.25, 2000, 3249.76])
  })
})
