/** Every number and date a person reads is written here, with its unit. */

const LOCALE = 'en-GB'
/** What stands for a missing value. Absent is never shown as zero. */
export const MISSING = '–'
const MINUS = '−'

type Maybe<T> = T | null | undefined

const cache = new Map<string, Intl.NumberFormat>()

function formatter(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options)
  let found = cache.get(key)
  if (!found) {
    found = new Intl.NumberFormat(LOCALE, options)
    cache.set(key, found)
  }
  return found
}

/** A true minus sign lines up with digits and is read as one. */
function typeset(text: string): string {
  return text.replace('-', MINUS)
}

function isMissing(value: Maybe<number>): value is null | undefined {
  return value === null || value === undefined || !Number.isFinite(value)
}

export interface Style {
  /** Thousands and millions shortened: 1.2M. */
  compact?: boolean
  /** A plus sign before positive numbers, for changes. */
  signed?: boolean
}

function signDisplay(style: Style): 'exceptZero' | 'auto' {
  return style.signed ? 'exceptZero' : 'auto'
}

/** An amount of money; decimals arrive as text. */
export function money(value: Maybe<number | string>, currency: string, style: Style = {}): string {
  const amount = typeof value === 'string' ? Number(value) : value
  if (isMissing(amount)) return MISSING
  const compact = style.compact && Math.abs(amount) >= 1000
  return typeset(
    formatter({
      style: 'currency',
      currency,
      currencyDisplay: 'symbol',
      signDisplay: signDisplay(style),
      ...(compact
        ? { notation: 'compact', minimumSignificantDigits: 3, maximumSignificantDigits: 3 }
        : { maximumFractionDigits: Math.abs(amount) < 10 && amount !== 0 ? 2 : 0, minimumFractionDigits: 0 }),
    }).format(amount),
  )
}

/** A plain number: as many decimals as it takes for three digits, at most `decimals`. */
export function number(value: Maybe<number>, decimals?: number, style: Style = {}): string {
  if (isMissing(value)) return MISSING
  if (style.compact && Math.abs(value) >= 10_000) {
    return typeset(
      formatter({ notation: 'compact', maximumSignificantDigits: 3, signDisplay: signDisplay(style) }).format(value),
    )
  }
  const size = Math.abs(value)
  const auto = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2
  return typeset(
    formatter({
      maximumFractionDigits: decimals ?? auto,
      minimumFractionDigits: decimals ?? 0,
      signDisplay: signDisplay(style),
    }).format(value),
  )
}

/** A share between 0 and 1 as a percentage. */
export function share(value: Maybe<number>, decimals = 0, style: Style = {}): string {
  if (isMissing(value)) return MISSING
  return typeset(
    formatter({
      style: 'percent',
      maximumFractionDigits: decimals,
      minimumFractionDigits: decimals,
      signDisplay: signDisplay(style),
    }).format(value),
  )
}

/** A probability. Never shown as certain: the ends read "> 99 %" and "< 1 %". */
export function probability(value: Maybe<number>): string {
  if (isMissing(value)) return MISSING
  if (value > 0.99) return '> 99%'
  if (value < 0.01) return '< 1%'
  return share(value)
}

/** A p- or q-value: three decimals, and never exactly zero. */
export function significance(value: Maybe<number>): string {
  if (isMissing(value)) return MISSING
  return value < 0.001 ? '< 0.001' : number(value, 3)
}

/** A value in a unit: an ISO currency, or a metric's unit. */
export function quantity(value: Maybe<number>, unit: string, style: Style = {}): string {
  if (isMissing(value)) return MISSING
  if (/^[A-Z]{3}$/.test(unit)) return money(value, unit, style)
  switch (unit) {
    case 'ratio':
    case 'share':
      return share(value, 1, style)
    case 'percent':
    case '%':
      return `${number(value, undefined, style)}%`
    case 'points':
      return `${number(value, 1, style)} pts`
    case 'seconds':
      return `${number(value, undefined, style)} s`
    case 'weeks':
      return weeks(value)
    case 'rank':
      return Number.isInteger(value) && !style.signed ? `#${number(value)}` : number(value, undefined, style)
    case 'count':
    case 'index':
    case '':
      return number(value, undefined, style)
    default:
      return `${number(value, undefined, style)} ${unit.replaceAll('_', ' ')}`
  }
}

/** A metric's value; money metrics are in the organisation's currency. */
export function metricValue(value: Maybe<number>, unit: string, currency: string, style: Style = {}): string {
  return quantity(value, unit === 'currency' ? currency : unit, style)
}

/** Name of a metric's unit for axis titles. */
export function unitName(unit: string, currency: string): string {
  const names: Record<string, string> = {
    currency,
    count: 'count',
    ratio: 'share of 1',
    percent: '%',
    index: 'index',
    seconds: 'seconds',
    rank: 'rank, 1 is first',
    points: 'points',
  }
  return names[unit] ?? unit
}

/** Both ends of an interval: "€10k to €40k". A unit in words is written once: "2 to 3 margin per unit of spend". */
export function interval(range: Maybe<{ low: number; high: number }>, unit: string, style: Style = {}): string {
  if (!range) return MISSING
  const [low, high] = [quantity(range.low, unit, style), quantity(range.high, unit, style)]
  const tail = ` ${unit.replaceAll('_', ' ')}`
  return `${low.endsWith(tail) && high.endsWith(tail) ? low.slice(0, -tail.length) : low} to ${high}`
}

export function weeks(count: number): string {
  return `${number(count)} ${count === 1 ? 'week' : 'weeks'}`
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`
}

const dayFormat = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
const shortDayFormat = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short', timeZone: 'UTC' })
const instantFormat = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })
const preciseFormat = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'long' })
const clockFormat = new Intl.DateTimeFormat(LOCALE, { hour: '2-digit', minute: '2-digit', second: '2-digit' })

/** A calendar day, `YYYY-MM-DD`. */
export function day(date: Maybe<string>): string {
  return date ? dayFormat.format(new Date(`${date.slice(0, 10)}T00:00:00Z`)) : MISSING
}

/** A calendar day without its year, for axes. */
export function shortDay(date: Maybe<string>): string {
  return date ? shortDayFormat.format(new Date(`${date.slice(0, 10)}T00:00:00Z`)) : MISSING
}

/** An instant in the reader's time zone. */
export function instant(at: Maybe<string>): string {
  return at ? instantFormat.format(new Date(at)) : MISSING
}

/** An instant in a named time zone; the reader's own where the name is not known. */
export function instantIn(at: string, zone: string): string {
  try {
    return new Intl.DateTimeFormat(LOCALE, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', timeZone: zone }).format(new Date(at))
  } catch {
    return instant(at)
  }
}

/** An instant with seconds and zone, for tooltips. */
export function preciseInstant(at: Maybe<string>): string {
  return at ? preciseFormat.format(new Date(at)) : MISSING
}

/** Time of day with seconds. */
export function clockTime(at: Maybe<string>): string {
  return at ? clockFormat.format(new Date(at)) : MISSING
}

/** "3 min ago", "in 2 h". */
export function ago(at: Maybe<string>, now: number = Date.now()): string {
  if (!at) return MISSING
  const seconds = Math.round((new Date(at).getTime() - now) / 1000)
  const size = Math.abs(seconds)
  if (size < 5) return 'now'
  const [count, unit] =
    size < 60 ? [size, 's'] : size < 3600 ? [Math.round(size / 60), 'min'] : size < 86_400 ? [Math.round(size / 3600), 'h'] : [Math.round(size / 86_400), 'd']
  return seconds < 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`
}

/** Length of time between two instants. */
export function duration(from: Maybe<string>, to: Maybe<string>): string {
  if (!from || !to) return MISSING
  const milliseconds = new Date(to).getTime() - new Date(from).getTime()
  if (milliseconds < 1000) return `${Math.max(0, milliseconds)} ms`
  if (milliseconds < 60_000) return `${number(milliseconds / 1000, 1)} s`
  return `${number(milliseconds / 60_000, 1)} min`
}

/** Whole days from one calendar day to another; negative when `to` lies before. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to.slice(0, 10)}T00:00:00Z`) - Date.parse(`${from.slice(0, 10)}T00:00:00Z`)) / 86_400_000)
}

/** The calendar day `days` after `date`. */
export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date.slice(0, 10)}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)
}

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`
  if (count < 1_000_000) return `${number(count / 1000, 1)} kB`
  return `${number(count / 1_000_000, 1)} MB`
}
