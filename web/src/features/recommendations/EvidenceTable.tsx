import { Accordion, Group, Text } from '@mantine/core'

import type { Evidence } from '../../api/types'
import { interval, MISSING, quantity } from '../../lib/format'
import { words } from '../../lib/labels'
import { ProvenanceView } from '../../ui/ProvenanceView'

/** The numbers behind a proposal; each opens to show where it comes from. */
export function EvidenceTable({ evidence, currency }: { evidence: Evidence[]; currency: string }) {
  const unitOf = (unit: string) => (unit === 'currency' ? currency : unit)
  if (evidence.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        No numbers are attached.
      </Text>
    )
  }
  return (
    <Accordion variant="separated" multiple chevronPosition="left" className="evidence" order={3}>
      {evidence.map((item, index) => (
        <Accordion.Item key={`${item.label}-${index}`} value={`${item.label}-${index}`}>
          <Accordion.Control>
            <Group justify="space-between" gap="xs" wrap="wrap">
              <div className="evidence-label">
                <Text size="sm" fw={550}>
                  {words(item.label)}
                </Text>
                {item.note && (
                  <Text size="xs" c="dimmed">
                    {item.note}
                  </Text>
                )}
              </div>
              <div className="evidence-value figure">
                <Text size="sm" fw={650}>
                  {item.value === null || item.value === undefined ? MISSING : quantity(item.value, unitOf(item.unit), { compact: true })}
                </Text>
                {item.interval95 && (
                  <Text size="xs" c="dimmed">
                    95% {interval(item.interval95, unitOf(item.unit), { compact: true })}
                  </Text>
                )}
              </div>
            </Group>
          </Accordion.Control>
          <Accordion.Panel>
            <ProvenanceView provenance={item.provenance} />
          </Accordion.Panel>
        </Accordion.Item>
      ))}
    </Accordion>
  )
}
