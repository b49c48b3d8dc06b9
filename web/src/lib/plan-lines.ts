/** Editing the lines of a plan: pure arithmetic on weekly amounts in cents, so that totals add up exactly. */
import type { PlanLine } from '../api/types'

export interface EditLine {
  brand: string
  channel: string
  /** Planned weekly amount, in currency units. */
  weekly: number
  current: number
  lower: number
  upper: number
  locked: boolean
}

export function lineKey(line: { brand: string; channel: string }): string {
  return `${line.brand}/${line.channel}`
}

export function toEditLines(lines: PlanLine[]): EditLine[] {
  return lines.map((line) => ({
    brand: line.brand,
    channel: line.channel,
    weekly: Number(line.weekly),
    current: Number(line.current),
    lower: Number(line.lower),
    upper: Number(line.upper),
    locked: false,
  }))
}

const cents = (amount: number) => Math.round(amount * 100)

export function total(lines: EditLine[], of: 'weekly' | 'current' = 'weekly'): number {
  return lines.reduce((sum, line) => sum + cents(line[of]), 0) / 100
}

/** The amount as the API takes it: a decimal in text. */
export function decimal(amount: number): string {
  return (cents(amount) / 100).toFixed(2)
}

/**
 * Sets one line. With `keepTotal` the difference is taken from (or given to) the other unlocked lines in proportion
 * to their size, never below zero; what they cannot take stays with the edited line.
 */
export function setLine(lines: EditLine[], key: string, weekly: number, keepTotal: boolean): EditLine[] {
  const wanted = Math.max(0, cents(weekly))
  const index = lines.findIndex((line) => lineKey(line) === key)
  const edited = lines[index]
  if (!edited) return lines
  if (!keepTotal) return lines.map((line, at) => (at === index ? { ...line, weekly: wanted / 100 } : line))

  const others = lines.map((line, at) => (at !== index && !line.locked ? cents(line.weekly) : 0))
  const pool = others.reduce((sum, amount) => sum + amount, 0)
  const free = lines.some((line, at) => at !== index && !line.locked)
  let delta = wanted - cents(edited.weekly)
  if (!free) delta = 0
  if (delta > pool) delta = pool
  const takers = lines.map((line, at) => at !== index && !line.locked)
  const count = takers.filter(Boolean).length
  let left = delta
  const next = lines.map((line, at) => {
    if (at === index || !takers[at]) return line
    const part = pool > 0 ? Math.round((delta * (others[at] ?? 0)) / pool) : Math.round(delta / count)
    const take = Math.min(part, others[at] ?? 0)
    left -= take
    return { ...line, weekly: ((others[at] ?? 0) - take) / 100 }
  })
  // Rounding leaves a few cents; they go to the largest line that can take them.
  if (left !== 0) {
    const largest = next.reduce((best, line, at) => (takers[at] && (best < 0 || line.weekly > (next[best]?.weekly ?? 0)) ? at : best), -1)
    const line = next[largest]
    if (line) next[largest] = { ...line, weekly: (cents(line.weekly) - left) / 100 }
  }
  return next.map((line, at) => (at === index ? { ...line, weekly: (cents(edited.weekly) + delta) / 100 } : line))
}

export function setLock(lines: EditLine[], key: string, locked: boolean): EditLine[] {
  return lines.map((line) => (lineKey(line) === key ? { ...line, locked } : line))
}

/** The lines with the amounts of a computed plan; a line that it does not name stays as it is. */
export function withAmounts(lines: EditLine[], planned: PlanLine[]): EditLine[] {
  const weekly = new Map(planned.map((line) => [lineKey(line), Number(line.weekly)]))
  return lines.map((line) => ({ ...line, weekly: weekly.get(lineKey(line)) ?? line.weekly }))
}

export function isChanged(line: EditLine): boolean {
  return cents(line.weekly) !== cents(line.current)
}

/** Whether the amount lies outside what the solver was allowed to choose. */
export function outsideBounds(line: EditLine): boolean {
  return cents(line.weekly) < cents(line.lower) || cents(line.weekly) > cents(line.upper)
}
