import { Button, Group, Modal, NumberInput, Stack, Switch, Text } from '@mantine/core'
import { useState } from 'react'

import type { Catalogue } from '../../api/catalogue'
import type { Action, PlanLine } from '../../api/types'
import { useWhatIf } from '../../api/what-if'
import { money, weeks } from '../../lib/format'
import { decimal, isChanged, lineKey, outsideBounds, setLine, setLock, toEditLines, total } from '../../lib/plan-lines'
import { EffectRange, effectWords } from '../../ui/EffectRange'
import { ProblemAlert } from '../../ui/ProblemAlert'

type BudgetPlan = Extract<Action, { kind: 'budget_plan' }>

interface Props {
  action: BudgetPlan
  names: Catalogue
  currency: string
  opened: boolean
  busy: boolean
  error: unknown
  onClose: () => void
  onApprove: (action: Action) => void
}

/** Edits the amounts of a proposed plan; the effect is computed again while typing. */
export function EditDialog(props: Props) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title="Edit the plan, then approve" size="xl">
      {props.opened && <EditForm {...props} />}
    </Modal>
  )
}

function EditForm({ action, names, currency, busy, error, onClose, onApprove }: Props) {
  const [lines, setLines] = useState(() => toEditLines(action.lines))
  const [keepTotal, setKeepTotal] = useState(true)
  const whatIf = useWhatIf(lines, action.weeks)
  const before = toEditLines(action.lines)
  const planned = total(lines)
  const proposed = total(before)
  const words = effectWords(whatIf.data?.effect)
  const touched = lines.some((line, index) => decimal(line.weekly) !== decimal(before[index]?.weekly ?? 0))
  const approve = () => {
    const edited: PlanLine[] = action.lines.map((line, index) => ({ ...line, weekly: decimal(lines[index]?.weekly ?? Number(line.weekly)) }))
    onApprove({ ...action, lines: edited, total: { ...action.total, amount: decimal(planned * action.weeks) } })
  }
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="sm">
        <Switch label="Keep the total" checked={keepTotal} onChange={(event) => setKeepTotal(event.currentTarget.checked)} />
        <Text size="sm" className="figure" aria-live="polite">
          {money(planned, currency)} a week{' '}
          <span className="muted">
            {decimal(planned) === decimal(proposed) ? '(as proposed)' : `(${money(planned - proposed, currency, { signed: true })} against the proposal)`} for {weeks(action.weeks)}
          </span>
        </Text>
      </Group>
      <section className="table-scroll edit-lines" tabIndex={0} aria-label="Lines of the plan">
        <table className="brand-table">
          <thead>
            <tr>
              <th scope="col">Brand and channel</th>
              <th scope="col" className="numeric wide-only">
                Now
              </th>
              <th scope="col" className="numeric wide-only">
                Proposed
              </th>
              <th scope="col">Planned, a week</th>
              <th scope="col">Lock</th>
            </tr>
          </thead>
          <tbody>
            {lines.map((line, index) => {
              const name = `${names.brand(line.brand)}, ${names.channel(line.channel)}`
              return (
                <tr key={lineKey(line)}>
                  <th scope="row">
                    {name}
                    <Text size="xs" c="dimmed" fw={400} className="figure" hiddenFrom="sm">
                      {money(line.current, currency)} now, {money(before[index]?.weekly, currency)} proposed
                    </Text>
                  </th>
                  <td className="numeric wide-only">{money(line.current, currency)}</td>
                  <td className="numeric wide-only">{money(before[index]?.weekly, currency)}</td>
                  <td>
                    <NumberInput
                      aria-label={`Planned weekly spend of ${name}`}
                      size="xs"
                      w={130}
                      min={0}
                      decimalScale={2}
                      thousandSeparator=","
                      value={line.weekly}
                      onChange={(value) => setLines(setLine(lines, lineKey(line), Number(value) || 0, keepTotal))}
                      error={outsideBounds(line) ? `allowed ${money(line.lower, currency)} to ${money(line.upper, currency)}` : undefined}
                      fw={isChanged(line) ? 600 : undefined}
                    />
                  </td>
                  <td>
                    <Switch size="xs" aria-label={`Lock ${name}`} checked={line.locked} onChange={(event) => setLines(setLock(lines, lineKey(line), event.currentTarget.checked))} />
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </section>
      <div aria-live="polite">
        <Text size="sm">
          Expected change of profit: <strong className="figure">{words.value}</strong>
          {whatIf.isCatchingUp && <span className="muted"> computing…</span>}
        </Text>
        {whatIf.data?.effect && <EffectRange effect={whatIf.data.effect} />}
        {whatIf.data?.violations.map((violation) => (
          <Text key={violation} size="sm" className="bad">
            {violation}
          </Text>
        ))}
      </div>
      {whatIf.isError && <ProblemAlert error={whatIf.error} />}
      {error !== null && error !== undefined && <ProblemAlert error={error} />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button onClick={approve} loading={busy} disabled={!touched || (whatIf.data?.violations.length ?? 0) > 0}>
          Approve the edited plan
        </Button>
      </Group>
    </Stack>
  )
}
