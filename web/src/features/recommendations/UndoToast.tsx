import { Button, Group, Progress, Text } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { useEffect, useState } from 'react'

interface Props {
  id: string
  title: string
  seconds: number
  onUndo: () => void
}

/** What was decided, and a countdown in which it can be taken back. */
function UndoToast({ id, title, seconds, onUndo }: Props) {
  const [end] = useState(() => Date.now() + seconds * 1000)
  const [left, setLeft] = useState(seconds)
  useEffect(() => {
    const timer = setInterval(() => {
      const now = (end - Date.now()) / 1000
      setLeft(Math.max(0, now))
      if (now <= 0) {
        clearInterval(timer)
        notifications.hide(id)
      }
    }, 200)
    return () => clearInterval(timer)
  }, [end, id])
  return (
    <>
      <Group justify="space-between" wrap="nowrap" gap="sm">
        <Text size="sm" lineClamp={2}>
          {title}
        </Text>
        <Button variant="default" onClick={onUndo} flex="none">
          Undo ({Math.ceil(left)} s)
        </Button>
      </Group>
      <Progress value={(left / seconds) * 100} size={3} mt={8} aria-label="Time left to undo" transitionDuration={200} />
    </>
  )
}

export function showUndo(toast: Props & { heading: string }): void {
  notifications.show({
    id: toast.id,
    title: toast.heading,
    message: <UndoToast id={toast.id} title={toast.title} seconds={toast.seconds} onUndo={toast.onUndo} />,
    autoClose: false,
    withCloseButton: false,
    color: 'cadence',
  })
}
