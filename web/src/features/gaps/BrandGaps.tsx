import { useQuery } from '@tanstack/react-query'

import type { Catalogue } from '../../api/catalogue'
import { day } from '../../lib/format'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { GapTable } from './GapTable'
import { gapsQuery } from './queries'

export function BrandGaps({ brandId, names, currency }: { brandId: string; names: Catalogue; currency: string }) {
  const query = useQuery(gapsQuery(brandId))
  const period = query.data?.[0]?.period
  return (
    <Panel title="Gaps" flush note={period ? `mean of the last weeks, up to ${day(period)}` : undefined}>
      <QueryView query={query} height={220} lines={4}>
        {(gaps) => <GapTable gaps={gaps} names={names} currency={currency} />}
      </QueryView>
    </Panel>
  )
}
