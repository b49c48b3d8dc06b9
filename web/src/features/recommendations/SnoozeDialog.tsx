import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useState, type FormEvent } from 'react'

import { addDays, day } from '../../lib/format'

interface Props {
  /** The domain date: in a demo it is not the calendar's. */
  today: string
  expires: string
  opened: boolean
  busy: boolean
  onClose: () => void
  onSnooze: (until: string) => void
}

/** Puts a recommendation aside until a date. */
export function SnoozeDialog(props: Props) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title="Snooze until" size="sm">
      <SnoozeForm key={String(props.opened)} {...props} />
    </Modal>
  )
}

function SnoozeForm({ today, expires, busy, onClose, onSnooze }: Props) {
  const [until, setUntil] = useState(addDays(today, 7))
  const wrong = until <= today ? 'Choose a later day.' : until > expires ? `It expires on ${day(expires)}.` : null
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!wrong) onSnooze(until)
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Group gap="xs">
          {[7, 14, 28].map((days) => (
            <Button key={days} variant={until === addDays(today, days) ? 'filled' : 'default'} onClick={() => setUntil(addDays(today, days))}>
              {days / 7} {days === 7 ? 'week' : 'weeks'}
            </Button>
          ))}
        </Group>
        <TextInput type="date" label="Day" data-autofocus min={addDays(today, 1)} max={expires} value={until} error={wrong} onChange={(event) => setUntil(event.currentTarget.value)} />
        <Text size="xs" c="dimmed">
          Counted on the organisation’s clock, which stands at {day(today)}.
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy} disabled={wrong !== null}>
            Snooze
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
