import { describe, expect, it } from 'vitest'

import { cronProblem, cronWords } from './cron'

describe('a cron expression', () => {
  it('is accepted in its common forms', () => {
    for (const cron of ['0 6 * * 1', '*/15 * * * *', '0 0 1 1,7 *', '30 5 * * mon-fri', '0 8-18/2 * * 1-5']) expect(cronProblem(cron)).toBeNull()
  })

  it('is refused with the field that is wrong', () => {
    expect(cronProblem('61 6 * * 1')).toBe('The minute must be 0 to 59.')
    expect(cronProblem('0 24 * * *')).toBe('The hour must be 0 to 23.')
    expect(cronProblem('0 6 * *')).toContain('Five fields')
    expect(cronProblem('*/0 * * * *')).toContain('step in minute')
    expect(cronProblem('0 6 * * funday')).toContain('day of week')
  })

  it('is put into words only where the words are right', () => {
    expect(cronWords('0 6 * * 1')).toBe('every Monday at 06:00')
    expect(cronWords('15 4 * * sun')).toBe('every Sunday at 04:15')
    expect(cronWords('30 5 * * *')).toBe('every day at 05:30')
    expect(cronWords('0 7 1 * *')).toBe('on day 1 of each month at 07:00')
    expect(cronWords('*/15 * * * *')).toBe('every 15 minutes')
    expect(cronWords('0 6 13 * 5')).toBe('0 6 13 * 5')
  })
})
