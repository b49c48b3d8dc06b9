import { ActionIcon, Alert, Button, Divider, Group, Kbd, Stack, Text, Title, Tooltip } from '@mantine/core'
import { IconArrowLeft, IconKeyboard } from '@tabler/icons-react'
import type { ReactNode } from 'react'

import type { Catalogue } from '../../api/catalogue'
import { ApiError, explain } from '../../api/problem'
import type { Me, Outcome, Verb } from '../../api/types'
import { day, interval, probability, quantity } from '../../lib/format'
import { AGENTS, KINDS, labelOf, STATES, subjectWords, words } from '../../lib/labels'
import { Tag } from '../../ui/Tag'
import { ActionView } from './ActionView'
import { EffectFigure } from './EffectFigure'
import { EvidenceTable } from './EvidenceTable'
import { HistoryTimeline } from './HistoryTimeline'
import type { Dialog } from './keyboard'
import type { Opened } from './queries'
import { expiryWords } from './RecommendationCard'
import { TextLink } from '../../ui/links'

interface Props {
  opened: Opened
  names: Catalogue
  me: Me | undefined
  currency: string
  today: string | null
  busy: boolean
  /** Why the person may not decide. */
  forbidden: string | null
  /** The last decision met somebody else's. */
  conflict: unknown
  onReload: () => void
  onBack?: () => void
  onApprove: () => void
  onUndo: () => void
  onDialog: (dialog: Dialog) => void
}

/** Everything a person needs to decide on one recommendation. */
export function RecommendationView(props: Props) {
  const { opened, names, me, currency, today, onBack, onDialog } = props
  const { recommendation, history, children, outcome } = opened.detail
  const { title, summary, kind, agent, state, effect, confidence, evidence, action, objective } = recommendation
  return (
    <Stack gap="md" p="md" className="detail">
      <div>
        <Group justify="space-between" wrap="nowrap" align="flex-start" gap="xs">
          <Group gap="xs" wrap="nowrap" align="flex-start">
            {onBack && (
              <ActionIcon variant="subtle" color="gray" aria-label="Back to the list" onClick={onBack}>
                <IconArrowLeft size={18} aria-hidden />
              </ActionIcon>
            )}
            <Title order={2} className="detail-title">
              {title}
            </Title>
          </Group>
          <ActionIcon variant="subtle" color="gray" aria-label="Show the keys" onClick={() => onDialog('help')} visibleFrom="sm">
            <IconKeyboard size={18} aria-hidden />
          </ActionIcon>
        </Group>
        <Group gap={6} mt={6}>
          <Tag label={labelOf(KINDS, kind)} />
          <Tag label={labelOf(STATES, state)} outline />
          <Text size="xs" c="dimmed">
            {labelOf(AGENTS, agent).text} agent · proposed {day(recommendation.proposed_on)} · {expiryWords(recommendation.expires_on, today)}
            {confidence !== null && confidence !== undefined && ` · probability of a gain ${probability(confidence)}`}
          </Text>
        </Group>
      </div>
      <Decisions {...props} />
      <Text>{summary}</Text>
      {objective && (
        <Text size="xs" c="dimmed">
          Objective: {objective}
        </Text>
      )}
      {effect ? (
        <Part title="Expected effect">
          <EffectFigure effect={effect} confidence={confidence} provenance={evidence[0]?.provenance} />
        </Part>
      ) : (
        <Text size="sm" c="dimmed">
          No effect is claimed for this kind of action.
        </Text>
      )}
      <Part title="What approving does">
        <ActionView action={action} names={names} currency={currency} />
        <Text size="xs" c="dimmed" mt={6} className="break">
          About {subjectWords(recommendation.subject)} · fingerprint of the action {recommendation.action_hash.slice(0, 16)}…
        </Text>
      </Part>
      <Part title={`Evidence (${evidence.length})`}>
        <EvidenceTable evidence={evidence} currency={currency} />
      </Part>
      {outcome && <OutcomeView outcome={outcome} unit={effect?.unit ?? currency} />}
      {children.length > 0 && (
        <Part title="Belongs to it">
          <Stack gap={4}>
            {children.map((child) => (
              <Group key={child.id} gap="xs">
                <TextLink to="/recommendations" search={{ view: 'all', selected: child.id }} size="sm">
                  {child.title}
                </TextLink>
                <Tag label={labelOf(STATES, child.state)} outline />
              </Group>
            ))}
          </Stack>
        </Part>
      )}
      {(recommendation.superseded_by || recommendation.parent) && (
        <Text size="sm">
          {recommendation.superseded_by ? 'A newer one took its place: ' : 'Part of an initiative: '}
          <TextLink to="/recommendations" search={{ view: 'all', selected: recommendation.superseded_by ?? recommendation.parent ?? undefined }} size="sm">
            open it
          </TextLink>
        </Text>
      )}
      <Part title="History">
        <HistoryTimeline history={history} me={me} />
      </Part>
    </Stack>
  )
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section>
      <Divider mb="sm" />
      <Title order={3} mb={6}>
        {title}
      </Title>
      {children}
    </section>
  )
}

function Decisions({ opened, busy, forbidden, conflict, onReload, onApprove, onUndo, onDialog }: Props) {
  const { allowed, recommendation } = opened.detail
  const can = (move: Verb) => allowed.includes(move)
  const state = labelOf(STATES, recommendation.state).text.toLowerCase()
  const reason = (move: Verb) => forbidden ?? (can(move) ? null : `Not possible while it is ${state}.`)
  const open = can('approve') || can('reject') || can('snooze')
  return (
    <div className="decisions">
      {conflict !== null && conflict !== undefined && (
        <Alert color="orange" role="alert" mb="sm" title={conflict instanceof ApiError && conflict.code === 'recommendation.plan_changed' ? 'The plan changed since you looked at it' : 'Somebody was faster, or this changed since you looked'}>
          <Text size="sm">{explain(conflict).title}</Text>
          {explain(conflict).advice && <Text size="sm">{explain(conflict).advice}</Text>}
          <Text size="sm" fw={600}>
            Nothing was done.
          </Text>
          <Button variant="default" mt="xs" onClick={onReload}>
            Reload and look again
          </Button>
        </Alert>
      )}
      {open || !can('undo') ? (
        <Group gap="xs" className="choices">
          <Choice text="Approve" hotkey="A" filled reason={reason('approve')} busy={busy} onClick={onApprove} />
          {recommendation.action.kind === 'budget_plan' && <Choice text="Edit" hotkey="E" reason={reason('approve')} busy={busy} onClick={() => onDialog('edit')} />}
          <Choice text="Reject" hotkey="R" reason={reason('reject')} busy={busy} onClick={() => onDialog('reject')} />
          <Choice text="Snooze" hotkey="S" reason={reason('snooze')} busy={busy} onClick={() => onDialog('snooze')} />
        </Group>
      ) : (
        <Choice text="Undo this decision" hotkey="U" reason={reason('undo')} busy={busy} onClick={onUndo} />
      )}
    </div>
  )
}

function Choice({ text, hotkey, reason, busy, filled = false, onClick }: { text: string; hotkey: string; reason: string | null; busy: boolean; filled?: boolean; onClick: () => void }) {
  return (
    <Tooltip label={reason ?? ''} disabled={reason === null}>
      <Button
        size="sm"
        variant={filled ? 'filled' : 'default'}
        onClick={reason === null ? onClick : (event) => event.preventDefault()}
        data-disabled={reason !== null || busy || undefined}
        aria-disabled={reason !== null || busy}
        aria-keyshortcuts={hotkey}
        rightSection={<Kbd size="xs" visibleFrom="sm" aria-hidden>{hotkey}</Kbd>}
      >
        {text}
      </Button>
    </Tooltip>
  )
}

function OutcomeView({ outcome, unit }: { outcome: Outcome; unit: string }) {
  return (
    <Part title="What happened after">
      <Group gap="xs" mb={4}>
        <Tag label={labelOf(STATES, outcome.verdict)} />
        <Text size="sm">
          {day(outcome.from)} to {day(outcome.to)}: promised {quantity(outcome.promised, unit, { compact: true, signed: true })}, realised{' '}
          <strong>{quantity(outcome.realised, unit, { compact: true, signed: true })}</strong>
          {outcome.interval80 && ` (80% interval ${interval(outcome.interval80, unit, { compact: true, signed: true })})`}
        </Text>
      </Group>
      <Text size="sm" c="dimmed">
        {words(outcome.reason)}
      </Text>
    </Part>
  )
}
