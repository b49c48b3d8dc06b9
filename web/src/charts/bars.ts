/** Signed horizontal bars, or points where there are intervals: contributions to a score, changes of a plan. */
import { axisStyle, base, tip, type ChartOption } from './options'
import type { Palette } from './palette'

export interface Bar {
  name: string
  value: number
  low?: number
  high?: number
  detail?: string
}

export function barsOption(bars: Bar[], write: (value: number) => string, palette: Palette): ChartOption {
  const style = axisStyle(palette)
  const ranges = bars.flatMap((bar, index) => (bar.low !== undefined && bar.high !== undefined ? [[bar.low, bar.high, index]] : []))
  return {
    ...base(palette),
    tooltip: {
      ...(base(palette)['tooltip'] as object),
      axisPointer: { type: 'shadow', shadowStyle: { color: palette.grid, opacity: 0.5 } },
      formatter: (items: { dataIndex: number }[]) => {
        const bar = bars[items[0]?.dataIndex ?? -1]
        if (!bar) return ''
        return tip(bar.name, [
          { name: 'Value', value: write(bar.value) },
          ...(bar.low !== undefined && bar.high !== undefined ? [{ name: '80% interval', value: `${write(bar.low)} to ${write(bar.high)}` }] : []),
          ...(bar.detail ? [{ name: bar.detail, value: '' }] : []),
        ])
      },
    },
    xAxis: { type: 'value', ...style, axisLabel: { color: palette.muted, fontSize: 11, hideOverlap: true, formatter: write } },
    yAxis: {
      type: 'category',
      inverse: true,
      data: bars.map((bar) => bar.name),
      ...style,
      splitLine: { show: false },
      axisLabel: { color: palette.text, fontSize: 11, width: 150, overflow: 'truncate', interval: 0 },
    },
    series: [
      ranges.length > 0
        ? {
            type: 'scatter',
            symbolSize: 12,
            z: 5,
            data: bars.map((bar, index) => ({ value: [bar.value, index], itemStyle: { color: bar.value < 0 ? palette.bad : palette.good } })),
            markLine: { silent: true, symbol: 'none', label: { show: false }, lineStyle: { color: palette.muted, type: 'solid' }, data: [{ xAxis: 0 }] },
          }
        : {
            type: 'bar',
            barMaxWidth: 16,
            data: bars.map((bar) => ({ value: bar.value, itemStyle: { color: bar.value < 0 ? palette.bad : palette.good, borderRadius: 2 } })),
          },
      {
        type: 'custom',
        silent: true,
        data: ranges,
        encode: { x: [0, 1], y: 2 },
        renderItem: (_params: unknown, api: { value: (index: number) => number; coord: (pair: number[]) => number[] }) => {
          const [x1 = 0, y = 0] = api.coord([api.value(0), api.value(2)])
          const [x2 = 0] = api.coord([api.value(1), api.value(2)])
          const stroke = { stroke: palette.text, lineWidth: 1.4 }
          return {
            type: 'group',
            children: [
              { type: 'line', shape: { x1, y1: y, x2, y2: y }, style: stroke },
              { type: 'line', shape: { x1, y1: y - 5, x2: x1, y2: y + 5 }, style: stroke },
              { type: 'line', shape: { x1: x2, y1: y - 5, x2, y2: y + 5 }, style: stroke },
            ],
          }
        },
      },
    ],
  }
}
