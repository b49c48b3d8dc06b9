/** The response curve of one brand and channel, with where spend is and where the plan puts it. */
import type { Curve } from '../api/types'
import { interval, money } from '../lib/format'
import type { TwinTable } from './ChartFigure'
import { axisStyle, base, tip, type ChartOption } from './options'
import type { Palette } from './palette'

/** Sales the curve gives at `weekly`, linear between its points. */
export function salesAt(curve: Curve, weekly: number): number | null {
  const after = curve.points.findIndex((point) => point.weekly >= weekly)
  const right = curve.points[after]
  if (!right) return curve.points.at(-1)?.sales ?? null
  const left = curve.points[after - 1]
  if (!left) return right.sales
  const part = (weekly - left.weekly) / (right.weekly - left.weekly || 1)
  return left.sales + part * (right.sales - left.sales)
}

export function curveOption(curve: Curve, planned: number, currency: string, palette: Palette): ChartOption {
  const style = axisStyle(palette)
  const same = Math.abs(planned - curve.current) < 0.02 * (curve.points.at(-1)?.weekly ?? 1)
  const most = Math.max(curve.points.at(-1)?.weekly ?? 1, planned)
  const marks = [
    { name: same ? 'now and planned' : 'now', weekly: curve.current, color: palette.history, symbol: 'circle' },
    ...(same ? [] : [{ name: 'planned', weekly: planned, color: palette.planned, symbol: 'diamond' }]),
  ]
  return {
    ...base(palette),
    grid: { left: 8, right: 20, top: 16, bottom: 26, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    tooltip: {
      ...(base(palette)['tooltip'] as object),
      formatter: (items: { axisValue?: number }[]) => {
        const weekly = Number(items[0]?.axisValue ?? 0)
        const nearest = curve.points.reduce<Curve['points'][number] | null>(
          (best, point) => (!best || Math.abs(point.weekly - weekly) < Math.abs(best.weekly - weekly) ? point : best),
          null,
        )
        if (!nearest) return ''
        return tip(`${money(nearest.weekly, currency)} a week`, [
          { name: 'Extra sales a week', value: money(nearest.sales, currency) },
          { name: '80% interval', value: interval({ low: nearest.low80, high: nearest.high80 }, currency) },
        ])
      },
    },
    xAxis: {
      type: 'value',
      name: 'spend a week',
      nameLocation: 'middle',
      nameGap: 24,
      nameTextStyle: { color: palette.muted },
      ...style,
      splitLine: { show: false },
      max: most,
      axisLabel: { color: palette.muted, fontSize: 11, hideOverlap: true, formatter: (value: number) => money(value, currency, { compact: true }) },
    },
    yAxis: {
      type: 'value',
      ...style,
      axisLabel: { color: palette.muted, fontSize: 11, formatter: (value: number) => money(value, currency, { compact: true }) },
    },
    series: [
      {
        type: 'custom',
        silent: true,
        data: curve.points.map((point) => [point.weekly, point.low80, point.high80]),
        encode: { x: 0, y: [1, 2] },
        renderItem: (params: { dataIndexInside: number }, api: { coord: (pair: number[]) => number[] }) => {
          if (params.dataIndexInside !== 0) return null
          const upper = curve.points.map((point) => api.coord([point.weekly, point.high80]))
          const lower = curve.points.map((point) => api.coord([point.weekly, point.low80])).toReversed()
          return { type: 'polygon', shape: { points: [...upper, ...lower] }, style: { fill: palette.band80 }, silent: true }
        },
      },
      {
        type: 'line',
        data: curve.points.map((point) => [point.weekly, point.sales]),
        showSymbol: false,
        smooth: true,
        lineStyle: { color: palette.forecast, width: 2 },
        itemStyle: { color: palette.forecast },
      },
      ...marks.map((mark) => ({
        type: 'scatter',
        name: mark.name,
        symbol: mark.symbol,
        symbolSize: 11,
        z: 5,
        data: [[mark.weekly, salesAt(curve, mark.weekly)]],
        itemStyle: { color: mark.color },
        // The curve rises: above it on the left and under it on the right there is room.
        label: { show: true, ...(mark.weekly > most * 0.6 ? { position: 'left', offset: [0, -12] } : { position: 'right', offset: [0, 12] }), formatter: mark.name, color: mark.color, fontSize: 11, fontWeight: 600 },
      })),
    ],
  }
}

export function curveTable(curve: Curve, currency: string): TwinTable {
  return {
    columns: ['Spend a week', 'Extra sales a week', '80% interval'],
    rows: curve.points.map((point) => [
      money(point.weekly, currency),
      money(point.sales, currency),
      interval({ low: point.low80, high: point.high80 }, currency),
    ]),
  }
}
