import { Button, Group, Modal, Radio, Stack, Textarea } from '@mantine/core'
import { useState, type FormEvent } from 'react'

export type Reason = 'not_now' | 'wrong_data' | 'not_feasible' | 'disagree' | 'other'

const REASONS: { value: Reason; label: string; help: string }[] = [
  { value: 'not_now', label: 'Not now', help: 'Right in principle, wrong moment.' },
  { value: 'wrong_data', label: 'The data is wrong', help: 'It rests on numbers that do not hold.' },
  { value: 'not_feasible', label: 'Cannot be done', help: 'Contracts, stock, people or rules stand against it.' },
  { value: 'disagree', label: 'I do not agree', help: 'I expect something else to happen.' },
  { value: 'other', label: 'Another reason', help: 'Say which below.' },
]

interface Props {
  title: string
  opened: boolean
  busy: boolean
  onClose: () => void
  onReject: (reason: Reason, comment: string) => void
}

/** A rejection needs a reason: the agents learn from it. */
export function RejectDialog({ title, opened, busy, onClose, onReject }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title="Reject with a reason" size="md">
      <RejectForm key={title} title={title} busy={busy} onClose={onClose} onReject={onReject} />
    </Modal>
  )
}

function RejectForm({ title, busy, onClose, onReject }: Omit<Props, 'opened'>) {
  const [reason, setReason] = useState<Reason | null>(null)
  const [comment, setComment] = useState('')
  const needsComment = reason === 'other' && comment.trim() === ''
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (reason && !needsComment) onReject(reason, comment.trim())
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <Radio.Group label={title} value={reason ?? ''} onChange={(value) => setReason(value as Reason)} required>
          <Stack gap="xs" mt="xs">
            {REASONS.map((choice, index) => (
              <Radio key={choice.value} value={choice.value} label={choice.label} description={choice.help} data-autofocus={index === 0 || undefined} />
            ))}
          </Stack>
        </Radio.Group>
        <Textarea
          label="Comment"
          autosize
          minRows={2}
          maxLength={1000}
          value={comment}
          onChange={(event) => setComment(event.currentTarget.value)}
          error={needsComment ? 'Say which reason.' : undefined}
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" color="red" loading={busy} disabled={!reason || needsComment}>
            Reject
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
