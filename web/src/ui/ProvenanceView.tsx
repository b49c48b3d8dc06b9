import { Code, Stack, Text } from '@mantine/core'

import type { Provenance } from '../api/types'
import { day, number } from '../lib/format'

/** Data slice, method, parameters, seed and version of a number: enough to compute it again. */
export function ProvenanceView({ provenance }: { provenance: Provenance }) {
  const { slice, method, parameters, seed, software } = provenance
  const lines: [string, string][] = [
    ['Method', method || 'not stated'],
    ['Data', `${number(slice.rows)} values, ${day(slice.from)} to ${day(slice.to)}`],
    ['Brands', slice.brands.length > 0 ? slice.brands.join(', ') : 'all'],
    ['Metrics', slice.metrics.length > 0 ? slice.metrics.join(', ') : 'all'],
    ['Seed', String(seed)],
    ['Version', software],
  ]
  const settings = JSON.stringify(parameters ?? {}, null, 1)
  return (
    <Stack gap={4}>
      <dl className="facts">
        {lines.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        <div>
          <dt>Data digest</dt>
          <dd>
            <Code className="break">{slice.digest || 'none'}</Code>
          </dd>
        </div>
      </dl>
      {settings !== '{}' && settings !== 'null' && (
        <>
          <Text size="xs" c="dimmed">
            Parameters
          </Text>
          <Code block tabIndex={0} aria-label="Parameters" className="parameters">
            {settings}
          </Code>
        </>
      )}
    </Stack>
  )
}

/** One line for the foot of a chart. */
export function sourceLine(provenance: Provenance): string {
  const { slice, method, software } = provenance
  return `${method || 'method not stated'}, ${number(slice.rows)} values to ${day(slice.to)}, ${software}`
}
