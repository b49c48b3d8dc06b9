import { expect, it } from 'vitest'

import type { NodeState } from '../../api/types'
import { exitWords, treeRows } from './tree'

const node = (path: string): NodeState => ({ path, name: path.split('/').at(-1) ?? path, kind: 'worker', status: 'running', restarts: 0, started_at: '2025-01-01T00:00:00Z', mailbox: 0, handled: 0, observed: {} }) as NodeState

it('lists actors depth first and folds what is closed', () => {
  const nodes = ['Root', 'Root/Bus', 'Root/Agents', 'Root/Agents/one', 'Root/Bus/loop'].map(node)
  expect(treeRows(nodes, new Set()).map((row) => [row.node.path, row.depth])).toEqual([
    ['Root', 0],
    ['Root/Bus', 1],
    ['Root/Bus/loop', 2],
    ['Root/Agents', 1],
    ['Root/Agents/one', 2],
  ])
  expect(treeRows(nodes, new Set(['Root/Agents'])).map((row) => row.node.path)).not.toContain('Root/Agents/one')
})

it('shows an actor whose supervisor is not listed', () => {
  expect(treeRows([node('Lost/actor')], new Set())).toHaveLength(1)
})

it('puts an exit into words, as text or as an object', () => {
  expect(exitWords(null)).toBe('none')
  expect(exitWords('killed')).toBe('killed')
  expect(exitWords({ class: 'failed', reason: 'boom', at: null })).toBe('failed: boom')
  expect(exitWords({ signal: 9 })).toBe('signal: 9')
})
