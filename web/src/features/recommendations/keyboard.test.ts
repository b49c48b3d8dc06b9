import { describe, expect, it } from 'vitest'

import { commandFor, neighbour, successor, type KeyContext } from './keyboard'

const context: KeyContext = {
  ids: ['a', 'b', 'c'],
  selected: 'b',
  lastIndex: 1,
  dialog: null,
  allowed: ['approve', 'reject', 'snooze'],
  editable: true,
  undoable: false,
  mayDecide: true,
}
const press = (key: string, change: Partial<KeyContext> = {}) => commandFor({ key, modified: false, typing: false }, { ...context, ...change })

describe('keys of the inbox', () => {
  it('J and K move and stop at the ends', () => {
    expect(press('j')).toEqual({ type: 'select', id: 'c' })
    expect(press('k')).toEqual({ type: 'select', id: 'a' })
    expect(press('j', { selected: 'c' })).toEqual({ type: 'select', id: 'c' })
    expect(press('k', { selected: 'a' })).toEqual({ type: 'select', id: 'a' })
    expect(press('j', { ids: [] })).toBeNull()
  })

  it('moves from a row that dropped out to the one that took its place', () => {
    expect(neighbour({ ids: ['a', 'c'], selected: 'b', lastIndex: 1 }, 1)).toBe('c')
    expect(neighbour({ ids: ['a', 'c'], selected: 'b', lastIndex: 1 }, -1)).toBe('a')
    expect(neighbour({ ids: ['a'], selected: 'b', lastIndex: 5 }, 1)).toBe('a')
    expect(successor(['a', 'b', 'c'], 'b')).toBe('c')
    expect(successor(['a', 'b'], 'b')).toBe('a')
    expect(successor(['b'], 'b')).toBeNull()
  })

  it('A approves, R S E ask first, ? helps, in either case', () => {
    expect(press('A')).toEqual({ type: 'approve' })
    expect(press('r')).toEqual({ type: 'dialog', dialog: 'reject' })
    expect(press('s')).toEqual({ type: 'dialog', dialog: 'snooze' })
    expect(press('e')).toEqual({ type: 'dialog', dialog: 'edit' })
    expect(press('?')).toEqual({ type: 'dialog', dialog: 'help' })
  })

  it('refuses a decision that the server does not allow, and says why', () => {
    expect(press('a', { allowed: ['undo'] })).toMatchObject({ type: 'refuse' })
    expect(press('a', { mayDecide: false })).toMatchObject({ type: 'refuse', why: expect.stringContaining('role') })
    expect(press('a', { selected: null })).toMatchObject({ type: 'refuse' })
    expect(press('e', { editable: false })).toMatchObject({ type: 'refuse' })
  })

  it('U undoes what was just decided or what the server still lets undo', () => {
    expect(press('u')).toMatchObject({ type: 'refuse' })
    expect(press('u', { undoable: true })).toEqual({ type: 'undo' })
    expect(press('u', { allowed: ['undo'] })).toEqual({ type: 'undo' })
  })

  it('keeps its hands off while somebody types, a dialog is open or a modifier is held', () => {
    expect(press('a', { dialog: 'reject' })).toBeNull()
    expect(commandFor({ key: 'a', modified: true, typing: false }, context)).toBeNull()
    expect(commandFor({ key: 'a', modified: false, typing: true }, context)).toBeNull()
    expect(press('x')).toBeNull()
  })
})
