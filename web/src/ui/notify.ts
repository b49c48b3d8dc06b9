import { notifications } from '@mantine/notifications'

import { explain } from '../api/problem'

/** Tells that something was done. */
export function notifyDone(title: string, message = ''): void {
  notifications.show({ title, message, color: 'teal', autoClose: 5000 })
}

/** Tells what went wrong and what to do, until it is closed. */
export function notifyProblem(error: unknown): void {
  const { title, advice } = explain(error)
  notifications.show({ title, message: advice ?? '', color: 'red', autoClose: 12_000 })
}
