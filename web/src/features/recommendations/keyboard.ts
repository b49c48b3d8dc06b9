/** What a key does in the inbox. Pure, so that it can be tested without a browser. */
import type { Verb } from '../../api/types'

export type Dialog = 'reject' | 'snooze' | 'edit' | 'help'

export interface KeyContext {
  /** The list on screen, in order. */
  ids: string[]
  selected: string | null
  /** Where the selection stood in the list when it was last in it; a decided row drops out. */
  lastIndex: number
  dialog: Dialog | null
  /** Moves the server allows on the selected one. */
  allowed: Verb[]
  /** Whether its lines can be edited before approving. */
  editable: boolean
  /** A decision that can still be taken back. */
  undoable: boolean
  /** Whether the person may decide at all. */
  mayDecide: boolean
}

export type Command =
  | { type: 'select'; id: string }
  | { type: 'approve' }
  | { type: 'dialog'; dialog: Dialog }
  | { type: 'undo' }
  | { type: 'back' }
  | { type: 'refuse'; why: string }

export interface Key {
  key: string
  /** Ctrl, Alt or Meta is held: the browser's shortcut, not ours. */
  modified: boolean
  /** The focus is where text is typed. */
  typing: boolean
}

export const SHORTCUTS: { keys: string[]; text: string }[] = [
  { keys: ['J'], text: 'Next recommendation' },
  { keys: ['K'], text: 'Previous recommendation' },
  { keys: ['A'], text: 'Approve' },
  { keys: ['E'], text: 'Edit the amounts, then approve' },
  { keys: ['R'], text: 'Reject with a reason' },
  { keys: ['S'], text: 'Snooze until a date' },
  { keys: ['U'], text: 'Undo the last decision (10 seconds)' },
  { keys: ['Esc'], text: 'Back to the list' },
  { keys: ['?'], text: 'Show these keys' },
]

/** The row `step` away from the selection; from a row that dropped out, the one that took its place. */
export function neighbour(context: Pick<KeyContext, 'ids' | 'selected' | 'lastIndex'>, step: 1 | -1): string | null {
  const { ids, selected, lastIndex } = context
  if (ids.length === 0) return null
  const index = selected === null ? -1 : ids.indexOf(selected)
  if (index < 0) {
    if (selected === null) return ids[step > 0 ? 0 : ids.length - 1] ?? null
    const place = step > 0 ? lastIndex : lastIndex - 1
    return ids[Math.min(Math.max(place, 0), ids.length - 1)] ?? null
  }
  return ids[Math.min(Math.max(index + step, 0), ids.length - 1)] ?? null
}

/** Where the selection goes when the selected row leaves the list. */
export function successor(ids: string[], selected: string): string | null {
  const index = ids.indexOf(selected)
  return ids[index + 1] ?? ids[index - 1] ?? null
}

export function commandFor({ key, modified, typing }: Key, context: KeyContext): Command | null {
  if (modified || typing || context.dialog) return null
  const decision = (move: Verb, command: Command): Command => {
    if (!context.selected) return { type: 'refuse', why: 'Select a recommendation first.' }
    if (!context.mayDecide) return { type: 'refuse', why: 'Your role does not include deciding on recommendations.' }
    if (!context.allowed.includes(move)) return { type: 'refuse', why: `It cannot be ${PAST[move] ?? 'changed'} as it stands.` }
    return command
  }
  switch (key.length === 1 ? key.toLowerCase() : key) {
    case 'j':
    case 'k': {
      const id = neighbour(context, key.toLowerCase() === 'j' ? 1 : -1)
      return id ? { type: 'select', id } : null
    }
    case 'a':
      return decision('approve', { type: 'approve' })
    case 'e':
      return context.editable ? decision('approve', { type: 'dialog', dialog: 'edit' }) : { type: 'refuse', why: 'There is nothing to edit in this kind of recommendation.' }
    case 'r':
      return decision('reject', { type: 'dialog', dialog: 'reject' })
    case 's':
      return decision('snooze', { type: 'dialog', dialog: 'snooze' })
    case 'u':
      return context.undoable || context.allowed.includes('undo') ? { type: 'undo' } : { type: 'refuse', why: 'There is no decision left to undo.' }
    case '?':
      return { type: 'dialog', dialog: 'help' }
    case 'Escape':
      return { type: 'back' }
    default:
      return null
  }
}

const PAST: Partial<Record<Verb, string>> = { approve: 'approved', reject: 'rejected', snooze: 'snoozed' }

/** Whether text is being typed into the element that has the focus. */
export function isTyping(element: Element | null): boolean {
  if (!element) return false
  const tag = element.tagName
  return tag === 'INPUT' || tag === 'TEXTAREA' || tag === 'SELECT' || (element as HTMLElement).isContentEditable
}
