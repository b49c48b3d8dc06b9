import { Text, Timeline } from '@mantine/core'

import type { HistoryEntry, Me } from '../../api/types'
import { instant, preciseInstant } from '../../lib/format'
import { actorName, labelOf, MOVES, STATES } from '../../lib/labels'

/** Who did what, oldest first. */
export function HistoryTimeline({ history, me }: { history: HistoryEntry[]; me: Me | undefined }) {
  return (
    <Timeline active={history.length} bulletSize={12} lineWidth={2}>
      {history.map((entry, index) => (
        <Timeline.Item
          key={`${entry.at}-${index}`}
          title={
            <Text size="sm" fw={550} span>
              {entry.step ? MOVES[entry.step] : 'Made'} by {actorName(entry.actor, me?.user)}
            </Text>
          }
        >
          <Text size="xs" c="dimmed" title={preciseInstant(entry.at)}>
            {instant(entry.at)} · now {labelOf(STATES, entry.state).text.toLowerCase()} · action {entry.action_hash.slice(0, 8)}
          </Text>
          {entry.note && <Text size="sm">“{entry.note}”</Text>}
        </Timeline.Item>
      ))}
    </Timeline>
  )
}
