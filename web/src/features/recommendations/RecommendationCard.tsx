import { Group, Text, UnstyledButton } from '@mantine/core'
import { forwardRef } from 'react'

import type { Recommendation } from '../../api/types'
import { day, daysBetween, plural, probability } from '../../lib/format'
import { AGENTS, KINDS, labelOf, STATES } from '../../lib/labels'
import { EffectRange, effectWords } from '../../ui/EffectRange'
import { Tag } from '../../ui/Tag'

interface Props {
  recommendation: Recommendation
  brandName: (id: string) => string
  today: string | null
  selected: boolean
  onSelect: () => void
}

/** When it runs out, in words. */
export function expiryWords(expires: string, today: string | null): string {
  if (!today) return `expires ${day(expires)}`
  const left = daysBetween(today, expires)
  if (left < 0) return `expired ${day(expires)}`
  return left === 0 ? 'expires today' : `expires in ${plural(left, 'day')}`
}

/** One row of the inbox. */
export const RecommendationCard = forwardRef<HTMLButtonElement, Props>(function RecommendationCard({ recommendation, brandName, today, selected, onSelect }, ref) {
  const { title, kind, agent, effect, confidence, brands, state, expires_on, snoozed_until } = recommendation
  const words = effectWords(effect)
  const names = brands.length > 3 ? plural(brands.length, 'brand') : brands.map(brandName).join(', ')
  return (
    <UnstyledButton ref={ref} className="inbox-card" data-id={recommendation.id} data-selected={selected} aria-current={selected ? 'true' : undefined} onClick={onSelect}>
      <Group justify="space-between" gap="xs" wrap="nowrap" align="flex-start">
        <Text fw={600} size="sm" lineClamp={2}>
          {title}
        </Text>
        {effect && (
          <Text size="sm" fw={650} className={effect.value >= 0 ? 'figure good nowrap' : 'figure bad nowrap'}>
            {words.value}
          </Text>
        )}
      </Group>
      <Text size="xs" c="dimmed" lineClamp={1} mt={2}>
        {names || 'whole portfolio'} · {labelOf(AGENTS, agent).text} agent
      </Text>
      <Group gap={6} mt={6} wrap="nowrap">
        <Tag label={labelOf(KINDS, kind)} />
        {state !== 'proposed' && <Tag label={labelOf(STATES, state)} outline />}
        {effect && (
          <span className="card-range">
            <EffectRange effect={effect} width={84} words={false} />
          </span>
        )}
      </Group>
      {effect && (
        <Text size="xs" c="dimmed" mt={4} lineClamp={2}>
          {words.range}
          {effect.base !== null && effect.base !== undefined && `, ${words.base}`}
        </Text>
      )}
      <Text size="xs" c="dimmed" mt={2} className="figure">
        {confidence !== null && confidence !== undefined && <>P(gain) {probability(confidence)} · </>}
        {state === 'snoozed' && snoozed_until ? `until ${day(snoozed_until)}` : expiryWords(expires_on, today)}
      </Text>
    </UnstyledButton>
  )
})
