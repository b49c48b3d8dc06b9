import { Text, VisuallyHidden } from '@mantine/core'

import { MISSING } from '../lib/format'

interface Props {
  value: number | null | undefined
  /** The change, written with its unit. */
  text: string
  /** What it is compared with. */
  against?: string
  size?: string
}

/** A change with direction as a sign, an arrow and a colour. */
export function Delta({ value, text, against, size = 'xs' }: Props) {
  if (value === null || value === undefined) {
    return (
      <Text size={size} c="dimmed" span>
        {MISSING}
        <VisuallyHidden>no comparison</VisuallyHidden>
      </Text>
    )
  }
  const direction = value > 0 ? 'up' : value < 0 ? 'down' : 'flat'
  return (
    <Text size={size} span className={`figure delta-${direction}`} title={against}>
      <span aria-hidden>{direction === 'up' ? '▲ ' : direction === 'down' ? '▼ ' : ''}</span>
      {text}
    </Text>
  )
}
