import { Button, Group, Modal, Paper, Select, SimpleGrid, Stack, Text, TextInput, Title, Tooltip } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { api, etagOf, idempotencyKey, unwrap } from '../../api/client'
import { useForbidden } from '../../api/session'
import type { Overlap, Schedule } from '../../api/types'
import { ago, instantIn, preciseInstant } from '../../lib/format'
import { AGENTS, labelOf, type Label } from '../../lib/labels'
import { EmptyHint } from '../../ui/EmptyHint'
import { notifyDone, notifyProblem } from '../../ui/notify'
import { Panel } from '../../ui/Panel'
import { ProblemAlert } from '../../ui/ProblemAlert'
import { QueryView } from '../../ui/QueryView'
import { Tag } from '../../ui/Tag'
import { cronProblem, cronWords } from './cron'

const OVERLAPS: Record<Overlap, string> = { skip: 'Skip the tick', buffer_one: 'Let one wait', allow: 'Run both' }
const ON: Label = { text: 'On', color: 'green' }
const PAUSED: Label = { text: 'Paused', color: 'yellow' }

type Patch = { cron?: string; time_zone?: string; paused?: boolean; overlap?: Overlap }

function usePatch() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ schedule, patch }: { schedule: Schedule; patch: Patch }) =>
      unwrap(api.PATCH('/schedules/{schedule_id}', { params: { path: { schedule_id: schedule.id }, header: { 'If-Match': etagOf(schedule.version) } }, body: patch })),
    onSettled: async () => Promise.all([client.invalidateQueries({ queryKey: ['schedules'] }), client.invalidateQueries({ queryKey: ['agents'] })]),
  })
}

/** When the agents run by themselves. */
export function SchedulesPanel() {
  const query = useQuery({
    queryKey: ['schedules'],
    queryFn: async (): Promise<Schedule[]> => unwrap(api.GET('/schedules')),
    refetchInterval: 15_000,
  })
  const [editing, setEditing] = useState<Schedule | null>(null)
  return (
    <Panel title="Schedules">
      <QueryView query={query} height={200} isEmpty={(list) => list.length === 0} empty={<EmptyHint title="Nothing is scheduled">Agents still run when data arrive, or when you run them.</EmptyHint>}>
        {(schedules) => (
          <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm">
            {schedules.map((schedule) => (
              <ScheduleCard key={schedule.id} schedule={schedule} onEdit={() => setEditing(schedule)} />
            ))}
          </SimpleGrid>
        )}
      </QueryView>
      <Modal opened={editing !== null} onClose={() => setEditing(null)} title="Edit the schedule">
        {editing && <ScheduleForm key={editing.id} schedule={editing} onClose={() => setEditing(null)} />}
      </Modal>
    </Panel>
  )
}

function ScheduleCard({ schedule, onEdit }: { schedule: Schedule; onEdit: () => void }) {
  const forbidden = useForbidden('schedule_write')
  const client = useQueryClient()
  const patch = usePatch()
  const trigger = useMutation({
    mutationFn: async () =>
      unwrap(api.POST('/schedules/{schedule_id}/trigger', { params: { path: { schedule_id: schedule.id }, header: { 'Idempotency-Key': idempotencyKey() } } })),
    onSuccess: async () => {
      notifyDone('A run was started', `${labelOf(AGENTS, schedule.agent).text} agent`)
      await client.invalidateQueries({ queryKey: ['runs'] })
    },
    onError: notifyProblem,
  })
  const name = labelOf(AGENTS, schedule.agent).text
  return (
    <Paper p="sm" component="section" aria-label={`Schedule of ${name}`}>
      <Group justify="space-between">
        <Title order={3}>{name}</Title>
        <Tag label={schedule.paused ? PAUSED : ON} />
      </Group>
      <Text size="sm">
        {cronWords(schedule.cron)}{' '}
        <span className="muted">
          ({schedule.cron}, {schedule.time_zone})
        </span>
      </Text>
      <Text size="xs" c="dimmed">
        While one still runs: {OVERLAPS[schedule.overlap].toLowerCase()} · last tick {schedule.last_at ? ago(schedule.last_at) : 'none yet'}
      </Text>
      <Text size="xs" c="dimmed" mt={4}>
        Next
      </Text>
      {schedule.paused || schedule.next.length === 0 ? (
        <Text size="sm">none while it is paused</Text>
      ) : (
        <ol className="next-ticks">
          {schedule.next.map((at) => (
            <li key={at} title={preciseInstant(at)}>
              {instantIn(at, schedule.time_zone)}
            </li>
          ))}
        </ol>
      )}
      <Group gap={6} mt="xs" className="schedule-actions">
        <Tooltip label={forbidden ?? ''} disabled={forbidden === null}>
          <Button variant="default" disabled={forbidden !== null} onClick={onEdit} aria-label={`Edit the schedule of ${name}`}>
            Edit
          </Button>
        </Tooltip>
        <Button
          variant="default"
          disabled={forbidden !== null}
          loading={patch.isPending}
          aria-label={`${schedule.paused ? 'Resume' : 'Pause'} the schedule of ${name}`}
          onClick={() => patch.mutate({ schedule, patch: { paused: !schedule.paused } }, { onError: notifyProblem })}
        >
          {schedule.paused ? 'Resume' : 'Pause'}
        </Button>
        <Button variant="default" disabled={forbidden !== null} loading={trigger.isPending} onClick={() => trigger.mutate()} aria-label={`Trigger now, schedule of ${name}`}>
          Trigger now
        </Button>
      </Group>
    </Paper>
  )
}

function ScheduleForm({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const patch = usePatch()
  const [cron, setCron] = useState(schedule.cron)
  const [zone, setZone] = useState(schedule.time_zone)
  const [overlap, setOverlap] = useState<Overlap>(schedule.overlap)
  const wrong = cronProblem(cron)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (wrong) return
    patch.mutate(
      { schedule, patch: { cron: cron.trim(), time_zone: zone.trim(), overlap } },
      {
        onSuccess: () => {
          notifyDone('Schedule saved')
          onClose()
        },
      },
    )
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput label="Cron expression" description={wrong ? 'minute, hour, day of month, month, day of week' : cronWords(cron)} required data-autofocus value={cron} error={wrong} onChange={(event) => setCron(event.currentTarget.value)} />
        <TextInput label="Time zone" description="IANA name, such as Europe/Paris" required value={zone} onChange={(event) => setZone(event.currentTarget.value)} />
        <Select label="When the run before is still under way" allowDeselect={false} value={overlap} onChange={(value) => setOverlap((value as Overlap) ?? 'skip')} data={Object.entries(OVERLAPS).map(([value, label]) => ({ value, label }))} />
        {patch.isError && <ProblemAlert error={patch.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={patch.isPending} disabled={wrong !== null}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
