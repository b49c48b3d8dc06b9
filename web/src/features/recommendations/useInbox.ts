/** Decisions in the inbox: what is sent, what is shown after, and how it is taken back. */
import { notifications } from '@mantine/notifications'
import { useQueryClient } from '@tanstack/react-query'
import { createElement, useCallback, useEffect, useRef, useState } from 'react'

import { ApiError } from '../../api/problem'
import { notifyDone, notifyProblem } from '../../ui/notify'
import { decide, detailKey, undoSeconds, useDecide, type Decision, type Opened } from './queries'
import { showUndo } from './UndoToast'

const HEADINGS: Partial<Record<Decision['type'], string>> = { approve: 'Approved', reject: 'Rejected', snooze: 'Snoozed' }
/** How long a person looks before the action is frozen for review, in milliseconds. */
const LOOK = 1200

interface Options {
  onDecided: (id: string, decision: Decision) => void
  onUndone: (id: string) => void
}

export function useInbox({ onDecided, onUndone }: Options) {
  const client = useQueryClient()
  const mutation = useDecide()
  const [conflict, setConflict] = useState<{ id: string; error: unknown } | null>(null)
  const [undoable, setUndoable] = useState<{ seen: Opened; until: number } | null>(null)
  const opening = useRef<Promise<unknown> | null>(null)
  const { mutateAsync } = mutation

  const undo = useCallback(
    async (seen: Opened) => {
      const { id } = seen.detail.recommendation
      notifications.hide(`undo-${id}`)
      setUndoable(null)
      try {
        await mutateAsync({ seen, decision: { type: 'undo' } })
        notifyDone('Decision undone', 'It is in review again.')
        onUndone(id)
      } catch (error) {
        notifyProblem(error)
        void client.invalidateQueries({ queryKey: ['recommendations'] })
      }
    },
    [mutateAsync, onUndone, client],
  )

  const make = useCallback(
    async (id: string, decision: Decision): Promise<boolean> => {
      // A look that is just being written down changes the version; the decision must name the newest.
      await opening.current
      const seen = client.getQueryData<Opened>(detailKey(id))
      if (!seen) return false
      try {
        const next = await mutateAsync({ seen, decision })
        setConflict(null)
        const seconds = undoSeconds(next)
        setUndoable({ seen: next, until: Date.now() + seconds * 1000 })
        showUndo({ id: `undo-${id}`, heading: HEADINGS[decision.type] ?? 'Done', title: next.detail.recommendation.title, seconds, onUndo: () => void undo(next) })
        onDecided(id, decision)
        return true
      } catch (error) {
        if (error instanceof ApiError && error.isConflict) setConflict({ id, error })
        else notifyProblem(error)
        return false
      }
    },
    [client, mutateAsync, undo, onDecided],
  )

  /** Freezes the action once somebody has looked at it for a moment. */
  const look = useCallback(
    (seen: Opened) => {
      const { id } = seen.detail.recommendation
      const timer = setTimeout(() => {
        opening.current = decide(seen, { type: 'open' })
          .then((next) => client.setQueryData(detailKey(id), next))
          .catch(() => client.invalidateQueries({ queryKey: detailKey(id) }))
          .finally(() => {
            opening.current = null
          })
      }, LOOK)
      return () => clearTimeout(timer)
    },
    [client],
  )

  const reload = useCallback(
    async (id: string) => {
      setConflict(null)
      await Promise.all([client.invalidateQueries({ queryKey: detailKey(id) }), client.invalidateQueries({ queryKey: ['recommendations', 'list'] })])
    },
    [client],
  )

  useEffect(() => {
    if (!undoable) return
    const timer = setTimeout(() => setUndoable(null), Math.max(0, undoable.until - Date.now()))
    return () => clearTimeout(timer)
  }, [undoable])

  return { make, undo, look, reload, undoable: undoable?.seen ?? null, busy: mutation.isPending, conflictOf: (id: string) => (conflict?.id === id ? conflict.error : null) }
}

export function hint(text: string) {
  notifications.show({ id: 'inbox-hint', message: createElement('span', null, text), color: 'gray', autoClose: 3000 })
}
