import type { CSSProperties } from 'react'

import type { Label } from '../lib/labels'

/** A short word with a colour that only repeats it. */
export function Tag({ label, outline = false, title }: { label: Label; outline?: boolean; title?: string }) {
  return (
    <span className={outline ? 'tag tag-outline' : 'tag'} title={title} style={{ '--tag': `var(--mantine-color-${label.color}-6)` } as CSSProperties}>
      {label.text}
    </span>
  )
}
