/** The flat list of actors as an indented tree. */
import type { NodeState } from '../../api/types'

export interface TreeRow {
  node: NodeState
  depth: number
  hasChildren: boolean
}

const parent = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')))

/** Depth first, children in the order the server names them; a node whose parent is not listed starts at the top. */
export function treeRows(nodes: NodeState[], closed: ReadonlySet<string>): TreeRow[] {
  const known = new Set(nodes.map((node) => node.path))
  const children = new Map<string, NodeState[]>()
  for (const node of nodes) {
    const above = known.has(parent(node.path)) ? parent(node.path) : ''
    children.set(above, [...(children.get(above) ?? []), node])
  }
  const rows: TreeRow[] = []
  const walk = (above: string, depth: number) => {
    for (const node of children.get(above) ?? []) {
      const below = children.get(node.path) ?? []
      rows.push({ node, depth, hasChildren: below.length > 0 })
      if (!closed.has(node.path)) walk(node.path, depth + 1)
    }
  }
  walk('', 0)
  return rows
}

/** Exit information in words; the server states it as text or as an object. */
export function exitWords(exit: unknown): string {
  if (exit === null || exit === undefined) return 'none'
  if (typeof exit === 'string') return exit.replaceAll('_', ' ')
  if (typeof exit === 'object') {
    if ('class' in exit && typeof exit.class === 'string') {
      const reason = 'reason' in exit && typeof exit.reason === 'string' ? `: ${exit.reason}` : ''
      return `${exit.class}${reason}`
    }
    return Object.entries(exit as Record<string, unknown>)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `${name.replaceAll('_', ' ')}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
      .join(', ')
  }
  return JSON.stringify(exit)
}
