import type { PlanStatus } from '../../api/types'
import type { Label } from '../../lib/labels'

export const PLAN_STATUS: Record<PlanStatus, Label> = {
  draft: { text: 'Draft', color: 'gray' },
  of_record: { text: 'Of record', color: 'green' },
  superseded: { text: 'Superseded', color: 'gray' },
  withdrawn: { text: 'Withdrawn', color: 'red' },
}
