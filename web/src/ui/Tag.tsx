import { Badge } from '@mantine/core'

import type { Label } from '../lib/labels'

/** A short word with a colour that only repeats it. */
export function Tag({ label, outline = false, title }: { label: Label; outline?: boolean; title?: string }) {
  return (
    <Badge className="tag" variant={outline ? 'outline' : 'light'} color={label.color} title={title}>
      {label.text}
    </Badge>
  )
}
