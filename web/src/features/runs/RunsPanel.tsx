import { Anchor, Button, Code, Drawer, Group, Progress, Select, Stack, Text, Timeline } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'

import { api, idempotencyKey, unwrap } from '../../api/client'
import { useRunProgress } from '../../api/live'
import { useForbidden } from '../../api/session'
import type { AgentKind, Run, RunStep } from '../../api/types'
import { ago, clockTime, duration, preciseInstant, share } from '../../lib/format'
import { AGENTS, labelOf, RUN_STATES, words } from '../../lib/labels'
import { DataTable } from '../../ui/DataTable'
import { EmptyHint } from '../../ui/EmptyHint'
import { notifyDone, notifyProblem } from '../../ui/notify'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { Tag } from '../../ui/Tag'

const TRIGGERS: Record<string, string> = { schedule: 'schedule', event: 'new data', person: 'a person' }

/** The latest runs of the agents; each opens its journal. */
export function RunsPanel() {
  const [agent, setAgent] = useState<AgentKind | null>(null)
  const [shown, setShown] = useState<string | null>(null)
  const query = useQuery({
    queryKey: ['runs', 'list', agent ?? ''],
    queryFn: async (): Promise<Run[]> => (await unwrap(api.GET('/runs', { params: { query: { agent: agent ?? undefined, limit: 30 } } }))).data,
    // A run under way is followed closely, so that its progress is seen to move.
    refetchInterval: ({ state }) => (state.data?.some((run) => run.state === 'running' || run.state === 'queued') ? 1000 : 4000),
  })
  return (
    <Panel
      title="Recent runs"
      flush
      actions={<Select size="xs" aria-label="Agent" placeholder="Every agent" clearable w={170} value={agent} onChange={(value) => setAgent(value as AgentKind | null)} data={Object.entries(AGENTS).map(([value, { text }]) => ({ value, label: text }))} />}
    >
      <QueryView query={query} height={240} lines={5} isEmpty={(runs) => runs.length === 0} empty={<EmptyHint title="No run yet">Let an agent run now, or wait for its schedule.</EmptyHint>}>
        {(runs) => (
          <DataTable
            caption="Recent runs"
            rows={runs}
            rowKey={(run) => run.id}
            minWidth={560}
            maxHeight={380}
            columns={[
              {
                key: 'agent',
                title: 'Agent',
                cell: (run) => (
                  <Anchor component="button" size="sm" onClick={() => setShown(run.id)}>
                    {labelOf(AGENTS, run.agent).text}
                  </Anchor>
                ),
              },
              {
                key: 'state',
                title: 'State',
                cell: (run) => <RunStatus run={run} />,
              },
              { key: 'trigger', title: 'Started by', cell: (run) => TRIGGERS[run.trigger] ?? words(run.trigger) },
              { key: 'at', title: 'When', cell: (run) => <span title={preciseInstant(run.created_at)}>{ago(run.started_at ?? run.created_at)}</span> },
              { key: 'took', title: 'Took', numeric: true, cell: (run) => duration(run.started_at, run.ended_at) },
            ]}
          />
        )}
      </QueryView>
      <Drawer opened={shown !== null} onClose={() => setShown(null)} position="right" title="Journal of the run" size="md">
        {shown && <RunJournal id={shown} />}
      </Drawer>
    </Panel>
  )
}

/** The state of a run, and while it goes on how far it is and at what. */
function RunStatus({ run }: { run: Run }) {
  const told = useRunProgress(run.id)
  if (run.state !== 'running') return <Tag label={labelOf(RUN_STATES, run.state)} />
  const done = Math.max(run.progress, told?.share ?? 0)
  return (
    <div>
      <Group gap={6} wrap="nowrap">
        <Tag label={labelOf(RUN_STATES, run.state)} />
        <Progress.Root w={60} size="sm">
          <Progress.Section value={done * 100} aria-label={`${share(done)} done`} />
        </Progress.Root>
        <Text size="xs" className="figure">
          {share(done)}
        </Text>
      </Group>
      {told?.note && (
        <Text size="xs" c="dimmed">
          {told.note}
        </Text>
      )}
    </div>
  )
}

function RunJournal({ id }: { id: string }) {
  const client = useQueryClient()
  const forbidden = useForbidden('run_write')
  const query = useQuery({
    queryKey: ['runs', id],
    queryFn: async () => unwrap(api.GET('/runs/{run_id}', { params: { path: { run_id: id } } })),
    refetchInterval: 2000,
  })
  const cancel = useMutation({
    mutationFn: async () => unwrap(api.POST('/runs/{run_id}/cancel', { params: { path: { run_id: id }, header: { 'Idempotency-Key': idempotencyKey() } } })),
    onSuccess: async () => {
      notifyDone('The run was asked to stop')
      await client.invalidateQueries({ queryKey: ['runs'] })
    },
    onError: notifyProblem,
  })
  return (
    <QueryView query={query} height={240} lines={4}>
      {({ run, steps }) => (
        <Stack gap="sm">
          <Group gap="xs">
            <Text fw={600}>{labelOf(AGENTS, run.agent).text}</Text>
            <Tag label={labelOf(RUN_STATES, run.state)} />
            {(run.state === 'running' || run.state === 'queued') && (
              <Button variant="default" disabled={forbidden !== null} loading={cancel.isPending} onClick={() => cancel.mutate()}>
                Cancel
              </Button>
            )}
          </Group>
          {run.error && <Text className="bad">{run.error}</Text>}
          <Timeline bulletSize={12} lineWidth={2} active={steps.filter((step) => step.ended_at).length}>
            {steps.map((step) => (
              <Timeline.Item key={step.key} title={<Text size="sm" fw={550}>{words(step.key)}</Text>}>
                <Step step={step} />
              </Timeline.Item>
            ))}
          </Timeline>
          {steps.length === 0 && <Text size="sm">No step has begun.</Text>}
          <dl className="facts">
            <div>
              <dt>Run</dt>
              <dd>{run.id}</dd>
            </div>
            <div>
              <dt>Data digest</dt>
              <dd>{run.snapshot ?? 'not taken yet'}</dd>
            </div>
          </dl>
          <Code block tabIndex={0} aria-label="Parameters">
            {JSON.stringify(run.parameters ?? {}, null, 2)}
          </Code>
        </Stack>
      )}
    </QueryView>
  )
}

function Step({ step }: { step: RunStep }) {
  return (
    <>
      <Text size="xs" c="dimmed">
        {clockTime(step.started_at)} · {step.ended_at ? duration(step.started_at, step.ended_at) : 'under way'}
        {step.attempt > 1 && ` · attempt ${step.attempt}`}
      </Text>
      {step.error && (
        <Text size="sm" className="bad">
          {step.error}
        </Text>
      )}
      {step.output !== null && step.output !== undefined && (
        <Code block className="parameters" tabIndex={0} aria-label={`Output of ${step.key}`}>
          {JSON.stringify(step.output, null, 1)}
        </Code>
      )}
    </>
  )
}
