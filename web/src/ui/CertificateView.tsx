import { List, Text } from '@mantine/core'

import type { Certificate } from '../api/types'
import { number, share } from '../lib/format'

/** Proof of how good a plan is, in words. */
export function CertificateView({ certificate }: { certificate: Certificate }) {
  const { shadow_price, gap, stationarity, binding } = certificate
  return (
    <div>
      <dl className="facts">
        <div>
          <dt>Shadow price</dt>
          <dd>{number(shadow_price, 3)}: what one more unit of total budget would earn</dd>
        </div>
        <div>
          <dt>Gap</dt>
          <dd>no plan under the same rules is better by more than {share(gap, 2)}</dd>
        </div>
        <div>
          <dt>Stationarity</dt>
          <dd>{stationarity.toExponential(1)}, largest difference of marginals between free lines</dd>
        </div>
      </dl>
      {binding.length > 0 ? (
        <>
          <Text size="xs" c="dimmed" mt={6}>
            Rules that hold the plan back, with what relaxing each by one unit a week would earn
          </Text>
          <List size="xs" mt={2}>
            {binding.map((rule) => (
              <List.Item key={rule.rule}>
                {rule.rule}: {number(rule.shadow_price, 3)}
              </List.Item>
            ))}
          </List>
        </>
      ) : (
        <Text size="xs" c="dimmed" mt={6}>
          No rule holds the plan back.
        </Text>
      )}
    </div>
  )
}
