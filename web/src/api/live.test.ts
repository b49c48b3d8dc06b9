import { expect, it } from 'vitest'

import { readProgress } from './live'

it('reads how far a run has come, and nothing else', () => {
  expect(readProgress('{"kind":"progress","body":{"agent":"metrics","run":"run_1","progress":0.1,"note":"analysing"}}')).toEqual({ run: 'run_1', progress: { share: 0.1, note: 'analysing' } })
  expect(readProgress('{"kind":"progress","body":{"import":"bat_1"}}')).toBeNull()
  expect(readProgress('not JSON')).toBeNull()
})
