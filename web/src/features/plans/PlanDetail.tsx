import { SimpleGrid, Stack, Text, Title } from '@mantine/core'

import { useCatalogue } from '../../api/catalogue'
import type { Plan } from '../../api/types'
import { day, instant, money, probability, weeks } from '../../lib/format'
import { actorName, labelOf } from '../../lib/labels'
import { CertificateView } from '../../ui/CertificateView'
import { EffectRange, effectWords } from '../../ui/EffectRange'
import { PlanLines } from '../../ui/PlanLines'
import { ProvenanceView } from '../../ui/ProvenanceView'
import { Stat } from '../../ui/Stat'
import { Tag } from '../../ui/Tag'
import { PLAN_STATUS } from './status'

/** A plan in full: what it spends, what it promises, and the proof. */
export function PlanDetail({ plan }: { plan: Plan }) {
  const names = useCatalogue()
  const effect = effectWords(plan.effect)
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
        <Stat label="Status" value={<Tag label={labelOf(PLAN_STATUS, plan.status)} />} detail={`version ${plan.version}, by ${actorName(plan.created_by)}, ${instant(plan.created_at)}`} />
        <Stat label="Total" value={money(plan.total.amount, plan.total.currency, { compact: true })} detail={`${weeks(plan.weeks)} from ${day(plan.start)}`} />
        <Stat label="Expected change of profit" value={effect.value} detail={plan.effect ? <EffectRange effect={plan.effect} width={90} /> : 'not computed'} />
        <Stat label="Probability of a gain" value={probability(plan.confidence)} detail="at the same total" />
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
