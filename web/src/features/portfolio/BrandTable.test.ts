import { expect, it } from 'vitest'

import type { BrandTile } from '../../api/types'
import { sortTiles } from './BrandTable'

const tile = (name: string, score: number | null): BrandTile =>
  ({ brand: { id: name, name, role: 'primary', category: '' }, score: score === null ? null : { value: score, coverage: 1 }, sales: [], forecast: [], open_recommendations: 0 }) as unknown as BrandTile

it('keeps brands without a score at the end, whichever way the rest is sorted', () => {
  const tiles = [tile('b', null), tile('a', 10), tile('c', 90)]
  expect(sortTiles(tiles, 'score', true).map((each) => each.brand.name)).toEqual(['a', 'c', 'b'])
  expect(sortTiles(tiles, 'score', false).map((each) => each.brand.name)).toEqual(['c', 'a', 'b'])
  expect(sortTiles(tiles, 'name', true).map((each) => each.brand.name)).toEqual(['a', 'b', 'c'])
})
