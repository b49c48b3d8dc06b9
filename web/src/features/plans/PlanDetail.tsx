import { SimpleGrid, Stack, Text, Title } from '@mantine/core'

import { useCatalogue } from '../../api/catalogue'
import { useMe } from '../../api/session'
import type { Plan } from '../../api/types'
import { day, instant, MISSING, money, plural, probability, weeks } from '../../lib/format'
import { actorName, labelOf, type Label } from '../../lib/labels'
import { CertificateView } from '../../ui/CertificateView'
import { EffectRange, effectWords } from '../../ui/EffectRange'
import { PlanLines } from '../../ui/PlanLines'
import { ProvenanceView } from '../../ui/ProvenanceView'
import { Stat } from '../../ui/Stat'
import { Tag } from '../../ui/Tag'
import { PLAN_STATUS } from './status'

const CARRIED_ON: Label = { text: 'Carried on', color: 'gray' }

interface Props {
  plan: Plan
  /** It is not a plan anybody made, but what is spent without one: no effect can be claimed for it. */
  isBase?: boolean
}

/** A plan in full: what it spends, what it promises, and the proof. */
export function PlanDetail({ plan, isBase = false }: Props) {
  const me = useMe()
  const names = useCatalogue()
  const effect = effectWords(plan.effect)
  const weekly = plan.lines.reduce((sum, line) => sum + Number(line.weekly), 0)
  const moved = Math.round(weekly - plan.lines.reduce((sum, line) => sum + Number(line.current), 0))
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
        {isBase ? (
          <Stat label="Status" value={<Tag label={CARRIED_ON} />} detail="no plan is of record: approve one in the inbox" />
        ) : (
          <Stat label="Status" value={<Tag label={labelOf(PLAN_STATUS, plan.status)} />} detail={`version ${plan.version}, by ${actorName(plan.created_by, me?.user)}, ${instant(plan.created_at)}`} />
        )}
        <Stat label="Total" value={money(plan.total.amount, plan.total.currency, { compact: true })} detail={`${weeks(plan.weeks)} from ${day(plan.start)}`} />
        {isBase ? (
          <>
            <Stat label="A week" value={money(weekly, plan.total.currency, { compact: true })} detail={plural(plan.lines.length, 'line')} />
            <Stat label="Expected change of profit" value={MISSING} detail="none: plans are compared with this spend" />
          </>
        ) : (
          <>
            <Stat label="Expected change of profit" value={effect.value} detail={plan.effect ? <EffectRange effect={plan.effect} width={90} /> : 'not computed'} />
            <Stat label="Probability of a gain" value={probability(plan.confidence)} detail={moved === 0 ? 'at the same total' : `with ${money(moved, plan.total.currency, { signed: true })} a week in total`} />
          </>
        )}
      </SimpleGrid>
      <PlanLines lines={plan.lines} currency={plan.total.currency} brand={names.brand} channel={names.channel} caption={`Lines of ${plan.name}`} maxHeight={460} />
      <section>
        <Title order={3} mb={4}>
          Certificate
        </Title>
        {plan.certificate ? (
          <CertificateView certificate={plan.certificate} />
        ) : (
          <Text size="sm" c="dimmed">
            None: a certificate comes with plans that the optimisation agent solves.
          </Text>
        )}
      </section>
      <section>
        <Title order={3} mb={4}>
          Where its numbers come from
        </Title>
        <ProvenanceView provenance={plan.provenance} />
      </section>
    </Stack>
  )
}
