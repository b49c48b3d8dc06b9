import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'

import { ApiError } from '../../api/problem'
import type { Curve } from '../../api/types'
import { ChartFigure } from '../../charts/ChartFigure'
import { curveOption, curveTable } from '../../charts/curve'
import { usePalette } from '../../charts/palette'
import type { EditLine } from '../../lib/plan-lines'
import { QueryView } from '../../ui/QueryView'
import { curveQuery } from './queries'

/** What spend in one line does to sales, with where it stands and where the plan puts it. */
export function CurveFigure({ line, currency }: { line: EditLine; currency: string }) {
  const query = useQuery(curveQuery(line.brand, line.channel))
  if (query.error instanceof ApiError && query.error.status === 404) {
    return (
      <Text size="sm" c="dimmed">
        No curve could be fitted here: the spend hardly varied, or there are too few weeks.
      </Text>
    )
  }
  return (
    <QueryView query={query} height={280}>
      {(curve) => <CurveView curve={curve} planned={line.weekly} currency={currency} />}
    </QueryView>
  )
}

function CurveView({ curve, planned, currency }: { curve: Curve; planned: number; currency: string }) {
  const palette = usePalette()
  const option = useMemo(() => curveOption(curve, planned, currency, palette), [curve, planned, currency, palette])
  const table = useMemo(() => curveTable(curve, currency), [curve, currency])
  return (
    <ChartFigure
      title="Response curve"
      unit={`extra sales in ${currency} a week`}
      period="fitted to the whole history, 80% band"
      source="stored response fit of the optimisation agent"
      option={option}
      table={table}
      height={260}
    />
  )
}
