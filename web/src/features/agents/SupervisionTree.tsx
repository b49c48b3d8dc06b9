import { ActionIcon, Button, Code, Drawer, Group, Text, Tooltip } from '@mantine/core'
import { IconChevronDown, IconChevronRight, IconRefresh } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'

import { useForbidden, useMe } from '../../api/session'
import type { NodeState } from '../../api/types'
import { ago, number, plural, preciseInstant } from '../../lib/format'
import { words, type Label } from '../../lib/labels'
import { EmptyHint } from '../../ui/EmptyHint'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { Tag } from '../../ui/Tag'
import { treeQuery, useRestart } from './queries'
import { exitWords, treeRows } from './tree'

const COLORS: Record<string, string> = { running: 'green', starting: 'cadence', restarting: 'yellow', backoff: 'yellow', stopping: 'yellow', stopped: 'gray', asleep: 'gray', failed: 'red', stuck: 'red' }

const statusLabel = (status: string): Label => ({ text: words(status), color: COLORS[status] ?? 'gray' })

/** Every actor with its state, live. What is shown here is what the tests read. */
export function SupervisionTree() {
  const query = useQuery(treeQuery)
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set())
  const [shown, setShown] = useState<string | null>(null)
  const restarts = query.data?.reduce((sum, node) => sum + node.restarts, 0) ?? 0
  const toggle = (path: string) => {
    const next = new Set(closed)
    if (!next.delete(path)) next.add(path)
    setClosed(next)
  }
  const node = query.data?.find((candidate) => candidate.path === shown)
  return (
    <Panel
      title="Supervision tree"
      flush
      note={query.data ? `${plural(query.data.length, 'actor')}, ${plural(restarts, 'restart')} since the start; read again every 2 seconds` : undefined}
    >
      <QueryView query={query} height={320} lines={8} isEmpty={(nodes) => nodes.length === 0} empty={<EmptyHint title="No actors are running">The tree appears when the server has started.</EmptyHint>}>
        {(nodes) => (
          <section className="table-scroll" tabIndex={0} aria-label="Supervision tree">
            <table className="brand-table tree-table">
              <thead>
                <tr>
                  <th scope="col">Actor</th>
                  <th scope="col">Status</th>
                  <th scope="col" className="numeric">
                    Restarts
                  </th>
                  <th scope="col" className="numeric">
                    Mailbox
                  </th>
                  <th scope="col" className="numeric">
                    Handled
                  </th>
                  <th scope="col">Last exit</th>
                  <th scope="col">Running since</th>
                  <th scope="col">
                    <span className="visually-hidden">Restart</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {treeRows(nodes, closed).map(({ node: row, depth, hasChildren }) => (
                  <NodeRow key={row.path} node={row} depth={depth} hasChildren={hasChildren} open={!closed.has(row.path)} onToggle={() => toggle(row.path)} onShow={() => setShown(row.path)} />
                ))}
              </tbody>
            </table>
          </section>
        )}
      </QueryView>
      <Drawer opened={shown !== null} onClose={() => setShown(null)} position="right" title={node ? node.name : 'Actor'} size="md">
        {node ? <NodeDetail node={node} /> : <Text size="sm">It is not running at the moment.</Text>}
      </Drawer>
    </Panel>
  )
}

interface RowProps {
  node: NodeState
  depth: number
  hasChildren: boolean
  open: boolean
  onToggle: () => void
  onShow: () => void
}

function NodeRow({ node, depth, hasChildren, open, onToggle, onShow }: RowProps) {
  const forbidden = useForbidden('agent_control')
  const restart = useRestart()
  const organisation = useMe()?.organisation
  // An organisation's branch is named by its id; people know it by its name.
  const name = node.name === organisation?.id ? organisation.name : node.name
  const exit = node.last_error ?? exitWords(node.last_exit)
  return (
    <tr data-path={node.path}>
      <th scope="row">
        <Group gap={2} wrap="nowrap" pl={depth * 18}>
          {hasChildren ? (
            <ActionIcon variant="subtle" color="gray" size="sm" aria-expanded={open} aria-label={`${open ? 'Close' : 'Open'} ${node.name}`} onClick={onToggle}>
              {open ? <IconChevronDown size={14} aria-hidden /> : <IconChevronRight size={14} aria-hidden />}
            </ActionIcon>
          ) : (
            <span className="tree-leaf" />
          )}
          <Button variant="subtle" size="compact-xs" onClick={onShow} aria-label={`${name}: state of ${node.path}`}>
            {name}
          </Button>
          <Text size="xs" c="dimmed" span className="nowrap">
            {[node.kind === node.name ? '' : node.kind.replaceAll('_', ' '), node.strategy?.replaceAll('_', '-')].filter(Boolean).join(', ')}
          </Text>
        </Group>
      </th>
      <td>
        <Tag label={statusLabel(node.status)} />
      </td>
      <td className="numeric" data-restarts={node.restarts}>
        {node.restarts > 0 ? <strong>{number(node.restarts)}</strong> : 0}
      </td>
      <td className="numeric">{number(node.mailbox)}</td>
      <td className="numeric">{number(node.handled, undefined, { compact: true })}</td>
      <td>
        <Text size="xs" lineClamp={1} maw={220} title={exit}>
          {exit}
        </Text>
      </td>
      <td className="nowrap" title={preciseInstant(node.started_at)}>
        {ago(node.started_at)}
      </td>
      <td>
        <Tooltip label={forbidden ?? 'Ends this actor; its supervisor starts it again.'}>
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label={`Restart ${node.path}`} disabled={forbidden !== null} loading={restart.isPending} onClick={() => restart.mutate(node.path)}>
            <IconRefresh size={14} aria-hidden />
          </ActionIcon>
        </Tooltip>
      </td>
    </tr>
  )
}

function NodeDetail({ node }: { node: NodeState }) {
  const facts: [string, string][] = [
    ['Path', node.path],
    ['Kind', node.kind],
    ['Strategy', node.strategy ? node.strategy.replaceAll('_', '-') : 'no children of its own'],
    ['Status', words(node.status)],
    ['Restarts', number(node.restarts)],
    ['Running since', preciseInstant(node.started_at)],
    ['Mailbox', `${number(node.mailbox)} waiting, ${number(node.handled)} handled`],
    ['Last exit', exitWords(node.last_exit)],
    ['Last error', node.last_error ?? 'none'],
  ]
  return (
    <>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Text size="xs" c="dimmed" mt="md">
        Observed state
      </Text>
      <Code block tabIndex={0} aria-label="Observed state">
        {JSON.stringify(node.observed ?? null, null, 2)}
      </Code>
    </>
  )
}
