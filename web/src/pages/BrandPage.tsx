import { SimpleGrid } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'

import { metricsQuery, useCatalogue } from '../api/catalogue'
import { api, unwrap } from '../api/client'
import { useCurrency } from '../api/session'
import { TimelinePanel } from '../features/forecasts/TimelinePanel'
import { BrandGaps } from '../features/gaps/BrandGaps'
import { ScorePanel } from '../features/scores/ScorePanel'
import { BrandNeighbours } from '../features/synergies/BrandNeighbours'
import { share } from '../lib/format'
import { words } from '../lib/labels'
import { Page } from '../ui/Page'
import { QueryView } from '../ui/QueryView'
import { ButtonLink } from '../ui/links'

/** Everything about one brand: where it comes from, where it goes, what holds it back, who it touches. */
export function BrandPage() {
  const { brandId } = useParams({ from: '/app/brands/$brandId' })
  const { metric } = useSearch({ from: '/app/brands/$brandId' })
  const navigate = useNavigate({ from: '/brands/$brandId' })
  const names = useCatalogue()
  const currency = useCurrency()
  const metrics = useQuery(metricsQuery)
  const query = useQuery({
    queryKey: ['brands', brandId],
    queryFn: async () => unwrap(api.GET('/brands/{brand_id}', { params: { path: { brand_id: brandId } } })),
  })
  const outcomes = metrics.data?.filter((candidate) => candidate.role === 'outcome') ?? []
  // The portfolio is run for sales in money; a count of units comes second.
  const outcome = outcomes.find((candidate) => candidate.unit === 'currency') ?? outcomes[0]
  const metricId = metric ?? outcome?.id ?? metrics.data?.[0]?.id ?? null
  return (
    <QueryView query={query} height={600} lines={3}>
      {(brand) => (
        <Page
          title={brand.name}
          subtitle={`${words(brand.role === 'primary' ? 'own brand' : brand.role)}${brand.category ? `, ${brand.category}` : ''}${
            brand.margin === null || brand.margin === undefined ? ', margin not stated' : `, margin ${share(brand.margin, 0)} of sales`
          }`}
          actions={
            <ButtonLink to="/recommendations" search={{ brand: brand.id }} variant="default">
              Its recommendations
            </ButtonLink>
          }
        >
          <TimelinePanel
            brandId={brandId}
            metrics={metrics.data ?? []}
            metricId={metricId}
            currency={currency}
            onMetric={(id) => void navigate({ search: { metric: id }, replace: true })}
          />
          <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md" className="align-start">
            <ScorePanel brandId={brandId} names={names} currency={currency} />
            <BrandGaps brandId={brandId} names={names} currency={currency} />
          </SimpleGrid>
          {brand.role === 'primary' && <BrandNeighbours brandId={brandId} names={names} currency={currency} />}
        </Page>
      )}
    </QueryView>
  )
}
