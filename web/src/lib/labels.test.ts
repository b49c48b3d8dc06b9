import { expect, it } from 'vitest'

import { subjectWords } from './labels'

it('says in words what a proposal is about', () => {
  expect(subjectWords('value:Region North/Fern/Units sold/2025-01-27')).toBe('Region North, Fern, Units sold, 27 Jan 2025')
  expect(subjectWords('pair:Elm>Linden')).toBe('Elm → Linden')
  expect(subjectWords('line:Alder/marketplace_ads')).toBe('Alder, marketplace ads')
  expect(subjectWords('portfolio')).toBe('portfolio')
})
