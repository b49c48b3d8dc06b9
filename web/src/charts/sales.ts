/** Total sales over time. */
import type { Point } from '../api/types'
import { day, money } from '../lib/format'
import { at, axisStyle, base, MONTH_LABELS, tip, type ChartOption } from './options'
import type { Palette } from './palette'

export function salesOption(points: Point[], currency: string, palette: Palette): ChartOption {
  return {
    ...base(palette),
    tooltip: {
      ...(base(palette)['tooltip'] as object),
      formatter: (items: { dataIndex: number }[]) => {
        const point = points[items[0]?.dataIndex ?? -1]
        return point ? tip(`Week of ${day(point.period)}`, [{ name: 'Sales', value: money(point.value, currency) }]) : ''
      },
    },
    xAxis: { type: 'time', ...axisStyle(palette), splitLine: { show: false }, axisLabel: { ...(axisStyle(palette)['axisLabel'] as object), formatter: MONTH_LABELS } },
    yAxis: {
      type: 'value',
      scale: true,
      ...axisStyle(palette),
      axisLabel: { color: palette.muted, fontSize: 11, formatter: (value: number) => money(value, currency, { compact: true }) },
    },
    series: [
      {
        type: 'line',
        data: points.map((point) => [at(point.period), point.value]),
        showSymbol: false,
        lineStyle: { color: palette.history, width: 2 },
        itemStyle: { color: palette.history },
      },
    ],
  }
}
