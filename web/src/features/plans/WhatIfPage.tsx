import { Button, Group, NumberInput, Paper, Stack, Switch, Text, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'

import { useCatalogue, type Catalogue } from '../../api/catalogue'
import { useForbidden } from '../../api/session'
import type { Certificate, Plan } from '../../api/types'
import { useWhatIf } from '../../api/what-if'
import { MISSING, money, number, plural, probability, weeks as weeksText } from '../../lib/format'
import { decimal, isChanged, lineKey, setLine, setLock, toEditLines, total, withAmounts, type EditLine } from '../../lib/plan-lines'
import { CertificateView } from '../../ui/CertificateView'
import { EffectRange, effectWords } from '../../ui/EffectRange'
import { EmptyHint } from '../../ui/EmptyHint'
import { notifyDone, notifyProblem } from '../../ui/notify'
import { Page } from '../../ui/Page'
import { Panel } from '../../ui/Panel'
import { ProblemAlert } from '../../ui/ProblemAlert'
import { QueryView } from '../../ui/QueryView'
import { CurveFigure } from './CurveFigure'
import { currentPlanQuery, usePlanRest, useSaveDraft, useSubmit } from './queries'
import { WhatIfLines } from './WhatIfLines'

export function WhatIfPage() {
  const query = useQuery(currentPlanQuery)
  return (
    <Page title="What if" subtitle="Move weekly spend and see the effect on profit at once. Nothing is saved until you say so.">
      <QueryView query={query} height={520} lines={4} isEmpty={(plan) => plan === null} empty={<EmptyHint title="There is no plan and no spend to start from">Import a spend metric first.</EmptyHint>}>
        {(plan) => plan && <WhatIfForm key={plan.id} plan={plan} />}
      </QueryView>
    </Page>
  )
}

/** The plan as it is carried out now is the base: "current" is what the plan of record spends. */
function baseLines(plan: Plan): EditLine[] {
  return toEditLines(plan.lines.map((line) => ({ ...line, current: line.weekly })))
}

function WhatIfForm({ plan }: { plan: Plan }) {
  const names = useCatalogue()
  const currency = plan.total.currency
  const [lines, setLines] = useState(() => baseLines(plan))
  const [weeks, setWeeks] = useState(plan.weeks)
  const [keepTotal, setKeepTotal] = useState(true)
  const [chosen, setChosen] = useState(() => (lines[0] ? lineKey(lines[0]) : ''))
  const [setByHand, setSetByHand] = useState<ReadonlySet<string>>(new Set())
  const [proof, setProof] = useState<Certificate | null>(null)
  const rest = usePlanRest()
  const whatIf = useWhatIf(lines, weeks)
  const marginals = new Map((whatIf.data?.lines ?? []).map((line) => [lineKey(line), line.marginal_return]))
  const picked = lines.find((line) => lineKey(line) === chosen)
  const keep = lines.filter((line) => line.locked || setByHand.has(lineKey(line)))
  /** What a person does to a line; what was proved of the lines before is not proved of these. */
  const edit = (next: EditLine[], byHand: ReadonlySet<string>) => {
    setLines(next)
    setSetByHand(byHand)
    setProof(null)
  }
  const forWeeks = (wanted: number) => {
    setWeeks(wanted)
    setProof(null)
  }
  const planRest = async () => {
    try {
      const best = await rest.mutateAsync({ weeks, weekly: total(lines), keep })
      setLines(withAmounts(lines, best.lines))
      setProof(best.certificate ?? null)
      notifyDone('The rest is planned', keep.length > 0 ? `around ${plural(keep.length, 'line')} that you keep` : 'for the most profit at this total')
    } catch (error) {
      notifyProblem(error)
    }
  }
  return (
    <div className="what-if">
      <Stack gap="md" miw={0}>
        <Summary plan={plan} lines={lines} whatIf={whatIf} currency={currency} />
        <Panel
          title="Lines"
          flush
          note="A locked line keeps its amount when the others make room; “Plan the rest” keeps locked lines and those you set, and spends what is left for the most profit. Marginal return is the margin of one more unit of spend; below 1× it loses money."
          actions={
            <>
              <Switch size="xs" label="Keep the total" checked={keepTotal} onChange={(event) => setKeepTotal(event.currentTarget.checked)} />
              <Button variant="light" onClick={() => void planRest()} loading={rest.isPending} disabled={keep.length === lines.length}>
                Plan the rest
              </Button>
              <Button variant="default" onClick={() => edit(baseLines(plan), new Set())} disabled={!lines.some(isChanged)}>
                Start over
              </Button>
            </>
          }
        >
          <WhatIfLines
            lines={lines}
            names={names}
            currency={currency}
            marginals={marginals}
            chosen={chosen}
            setByHand={setByHand}
            onChoose={setChosen}
            onAmount={(key, weekly) => {
              setChosen(key)
              edit(setLine(lines, key, weekly, keepTotal), new Set([...setByHand, key]))
            }}
            onLock={(key, locked) => {
              // A lock keeps what was proved true; taking it away frees the line for a better plan.
              if (locked) setLines(setLock(lines, key, true))
              else edit(setLock(lines, key, false), new Set([...setByHand].filter((each) => each !== key)))
            }}
          />
        </Panel>
      </Stack>
      <Stack gap="md" miw={0}>
        {picked && (
          <Panel title={`${names.brand(picked.brand)}, ${names.channel(picked.channel)}`}>
            <CurveFigure line={picked} currency={currency} />
          </Panel>
        )}
        {proof && (
          <Panel title="Proof" note="Of these lines, around those that are kept and under the rules in force.">
            <CertificateView certificate={proof} />
          </Panel>
        )}
        <SavePanel plan={plan} lines={lines} weeks={weeks} onWeeks={forWeeks} blocked={(whatIf.data?.violations.length ?? 0) > 0} names={names} />
      </Stack>
    </div>
  )
}

function Summary({ plan, lines, whatIf, currency }: { plan: Plan; lines: EditLine[]; whatIf: ReturnType<typeof useWhatIf>; currency: string }) {
  const planned = total(lines)
  const before = total(lines, 'current')
  const kept = decimal(planned) === decimal(before)
  const changed = lines.filter(isChanged).length
  const words = effectWords(whatIf.data?.effect)
  return (
    <Paper p="md" className="what-if-summary" aria-live="polite" component="section" aria-label="Effect">
      <div className="what-if-facts">
        <div>
          <Text size="xs" c="dimmed">
            Expected change of profit
          </Text>
          <Text className="stat-value figure" data-testid="what-if-effect">
            {whatIf.data ? words.value : '…'}
          </Text>
          {changed === 0 ? <Text size="xs" c="dimmed">against carrying on as now; move a line to see it</Text> : whatIf.data?.effect ? <EffectRange effect={whatIf.data.effect} width={120} /> : whatIf.data && <Text size="xs" c="dimmed">No response curves are fitted yet: let the optimisation agent run.</Text>}
        </div>
        <div>
          <Text size="xs" c="dimmed">
            Probability of a gain
          </Text>
          <Text className="stat-value figure">{changed === 0 ? MISSING : probability(whatIf.data?.confidence)}</Text>
          <Text size="xs" c="dimmed">
            {whatIf.isCatchingUp ? 'computing…' : whatIf.data ? `computed in ${number(whatIf.data.compute_ms, 0)} ms` : ''}
          </Text>
        </div>
        <div>
          <Text size="xs" c="dimmed">
            Total a week
          </Text>
          <Text className="stat-value figure">{money(planned, currency)}</Text>
          <Text size="xs" className={kept ? 'good' : 'bad'}>
            {kept ? `kept, as in ${plan.name}` : `changed by ${money(planned - before, currency, { signed: true })}`}; {plural(changed, 'line')} changed
          </Text>
        </div>
      </div>
      {whatIf.isError && <ProblemAlert error={whatIf.error} onRetry={() => void whatIf.refetch()} />}
      {whatIf.data?.violations.map((violation) => (
        <Text key={violation} size="sm" className="bad" mt={4}>
          {violation}
        </Text>
      ))}
    </Paper>
  )
}

interface SaveProps {
  plan: Plan
  lines: EditLine[]
  weeks: number
  onWeeks: (weeks: number) => void
  blocked: boolean
  names: Catalogue
}

function SavePanel({ plan, lines, weeks, onWeeks, blocked }: SaveProps) {
  const forbidden = useForbidden('plan_write')
  const navigate = useNavigate()
  const [name, setName] = useState('')
  const save = useSaveDraft()
  const submit = useSubmit()
  const changed = lines.some(isChanged)
  const why = forbidden ?? (!changed ? 'Change a line first.' : blocked ? 'The plan breaks a rule.' : name.trim() ? null : 'Give it a name.')
  const keep = async (andSubmit: boolean) => {
    try {
      const made = await save.mutateAsync({ name: name.trim(), weeks, lines })
      if (!andSubmit) {
        notifyDone('Draft saved', made.name)
        await navigate({ to: '/plans/$planId', params: { planId: made.id } })
        return
      }
      const proposal = await submit.mutateAsync(made.id)
      notifyDone('Sent to the inbox', proposal.title)
      await navigate({ to: '/recommendations', search: { selected: proposal.id } })
    } catch (error) {
      notifyProblem(error)
    }
  }
  return (
    <Panel title="Keep it">
      <Stack gap="sm">
        <TextInput label="Name" placeholder={`${plan.name}, changed`} value={name} maxLength={120} onChange={(event) => setName(event.currentTarget.value)} />
        <NumberInput label="Weeks" description={`from ${weeksText(1)} to ${weeksText(52)}`} min={1} max={52} value={weeks} onChange={(value) => onWeeks(Math.min(52, Math.max(1, Number(value) || 1)))} />
        {why && (
          <Text size="xs" c="dimmed">
            {why}
          </Text>
        )}
        <Group gap="xs">
          <Button disabled={why !== null} loading={save.isPending || submit.isPending} onClick={() => void keep(true)}>
            Submit to the inbox
          </Button>
          <Button variant="default" disabled={why !== null} loading={save.isPending} onClick={() => void keep(false)}>
            Save as draft
          </Button>
        </Group>
      </Stack>
    </Panel>
  )
}
