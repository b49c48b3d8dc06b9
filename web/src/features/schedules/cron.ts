/** Five-field cron expressions: a check while typing, and the common ones in words. The server has the last word. */

const RANGES: [string, number, number][] = [
  ['minute', 0, 59],
  ['hour', 0, 23],
  ['day of month', 1, 31],
  ['month', 1, 12],
  ['day of week', 0, 7],
]
const NAMES = /^(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)$/i

/** What is wrong with an expression, or null. */
export function cronProblem(cron: string): string | null {
  const fields = cron.trim().split(/\s+/)
  if (fields.length !== 5) return 'Five fields are needed: minute, hour, day of month, month, day of week.'
  for (const [index, field] of fields.entries()) {
    const [name, low, high] = RANGES[index] ?? ['field', 0, 0]
    for (const part of field.split(',')) {
      const [range = '', step] = part.split('/')
      if (step !== undefined && !(Number(step) >= 1)) return `The step in ${name} must be a number of at least 1.`
      if (range === '*') continue
      for (const end of range.split('-')) {
        if (NAMES.test(end) && index >= 3) continue
        const value = Number(end)
        if (!/^\d+$/.test(end) || value < low || value > high) return `The ${name} must be ${low} to ${high}.`
      }
    }
  }
  return null
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']
const SHORT = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

function dayName(field: string): string | undefined {
  return /^\d$/.test(field) ? DAYS[Number(field)] : DAYS[SHORT.indexOf(field.toLowerCase())]
}

/** "every Monday at 06:00"; the expression itself where words would be wrong. */
export function cronWords(cron: string): string {
  if (cronProblem(cron)) return cron
  const [minute = '', hour = '', date = '', month = '', weekday = ''] = cron.trim().split(/\s+/)
  const every = /^\*\/(\d+)$/
  if (date === '*' && month === '*' && weekday === '*') {
    const minutes = every.exec(minute)
    if (minutes && hour === '*') return `every ${minutes[1]} minutes`
    if (/^\d+$/.test(minute) && hour === '*') return `every hour at minute ${minute}`
    const hours = every.exec(hour)
    if (/^\d+$/.test(minute) && hours) return `every ${hours[1]} hours at minute ${minute}`
  }
  if (!/^\d+$/.test(minute) || !/^\d+$/.test(hour) || month !== '*') return cron
  const time = `${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`
  if (date === '*' && weekday === '*') return `every day at ${time}`
  if (date === '*' && weekday === '1-5') return `Monday to Friday at ${time}`
  const name = dayName(weekday)
  if (date === '*' && name) return `every ${name} at ${time}`
  if (/^\d+$/.test(date) && weekday === '*') return `on day ${date} of each month at ${time}`
  return cron
}
