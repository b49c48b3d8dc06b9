/** History, forecast fan and actions of one metric on one time axis. */
import type { Timeline } from '../api/types'
import { day, interval, metricValue } from '../lib/format'
import { KINDS, labelOf, STATES } from '../lib/labels'
import type { TwinTable } from './ChartFigure'
import { at, axisStyle, base, MONTH_LABELS, tip, type ChartOption, type TipRow } from './options'
import type { Palette } from './palette'

interface Mark {
  date: string
  title: string
  count: number
}

export function timelineOption(timeline: Timeline, currency: string, palette: Palette): ChartOption {
  const { history, forecast, outliers, metric } = timeline
  const write = (value: number | null | undefined) => metricValue(value, metric.unit, currency)
  const points = forecast?.points ?? []
  const last = history.at(-1)
  const joint = last && points.length > 0 ? [[at(last.period), last.value]] : []
  const known = new Map(history.map((point) => [at(point.period), point.value]))
  const future = new Map(points.map((point) => [at(point.period), point]))
  const marks = marksOf(timeline)

  const rows = (time: number): TipRow[] => {
    const list: TipRow[] = []
    if (known.has(time)) list.push({ name: 'Actual', value: write(known.get(time)) })
    const point = future.get(time)
    if (point) {
      const unit = metric.unit === 'currency' ? currency : metric.unit
      list.push({ name: 'Forecast', value: write(point.mean) })
      list.push({ name: '80% interval', value: interval(point.interval80, unit) })
      list.push({ name: '95% interval', value: interval(point.interval95, unit) })
    }
    for (const mark of marks) if (Math.abs(at(mark.date) - time) < 3.5 * 86_400_000) list.push({ name: 'Action', value: mark.title })
    return list
  }

  const style = axisStyle(palette)
  const dates = [...history.map((point) => point.period), ...points.map((point) => point.period)].toSorted()
  const first = dates[0]
  const end = dates.at(-1)
  return {
    ...base(palette),
    grid: { left: 8, right: 14, top: 32, bottom: 8, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    dataZoom: [{ type: 'inside', zoomOnMouseWheel: 'ctrl', moveOnMouseMove: true }],
    tooltip: {
      ...(base(palette)['tooltip'] as object),
      formatter: (items: { axisValue?: number; value?: unknown }[]) => {
        const time = Number(items[0]?.axisValue ?? Number.NaN)
        return Number.isFinite(time) ? tip(`Week of ${day(new Date(time).toISOString())}`, rows(time)) : ''
      },
    },
    xAxis: {
      type: 'time',
      min: first ? at(first) : undefined,
      max: end ? at(end) : undefined,
      ...style,
      splitLine: { show: false },
      axisLabel: { ...(style['axisLabel'] as object), formatter: MONTH_LABELS },
    },
    yAxis: {
      type: 'value',
      scale: true,
      ...style,
      axisLabel: { color: palette.muted, fontSize: 11, formatter: (value: number) => metricValue(value, metric.unit, currency, { compact: true }) },
    },
    series: [
      band('95', points.map((point) => [point.period, point.interval95.low, point.interval95.high]), palette.band95),
      band('80', points.map((point) => [point.period, point.interval80.low, point.interval80.high]), palette.band80),
      {
        name: 'Actual',
        type: 'line',
        data: history.map((point) => [at(point.period), point.value]),
        showSymbol: false,
        lineStyle: { color: palette.history, width: 1.8 },
        itemStyle: { color: palette.history },
        markLine: {
          symbol: ['none', 'circle'],
          symbolSize: 7,
          silent: true,
          label: { show: marks.length <= 12, color: palette.action, fontSize: 11, fontWeight: 600, distance: 9, formatter: (item: { data?: { count?: number } }) => (item.data?.count ?? 1) > 1 ? String(item.data?.count) : '' },
          lineStyle: { color: palette.action, type: 'dashed', width: 1.2 },
          data: marks.map((mark) => ({ xAxis: at(mark.date), count: mark.count })),
        },
      },
      {
        name: 'Forecast',
        type: 'line',
        data: [...joint, ...points.map((point) => [at(point.period), point.mean])],
        showSymbol: false,
        lineStyle: { color: palette.forecast, width: 1.8, type: 'dashed' },
        itemStyle: { color: palette.forecast },
      },
      {
        name: 'Outlier',
        type: 'scatter',
        data: outliers.map((point) => [at(point.period), point.value]),
        symbol: 'diamond',
        symbolSize: 8,
        itemStyle: { color: palette.outlier },
      },
    ],
  }
}

/** Actions within seven days are one mark, with their number: on the axis they would stand on one another. */
function marksOf(timeline: Timeline): Mark[] {
  const marks: Mark[] = []
  for (const action of timeline.actions.toSorted((a, b) => a.date.localeCompare(b.date))) {
    const last = marks.at(-1)
    if (last && at(action.date) - at(last.date) < 7 * 86_400_000) {
      last.count += 1
      last.title = `${last.count} actions`
    } else marks.push({ date: action.date, title: action.title, count: 1 })
  }
  return marks
}

/** An area between two edges, drawn as one polygon so that bands may go below zero. */
function band(name: string, rows: [string, number, number][], color: string): Record<string, unknown> {
  return {
    name,
    type: 'custom',
    silent: true,
    z: 1,
    data: rows.map(([period, low, high]) => [at(period), low, high]),
    encode: { x: 0, y: [1, 2] },
    clip: true,
    renderItem: (params: { dataIndexInside: number; coordSys: object }, api: { coord: (pair: number[]) => number[] }) => {
      if (params.dataIndexInside !== 0 || rows.length < 2) return null
      const upper = rows.map(([period, , high]) => api.coord([at(period), high]))
      const lower = rows.map(([period, low]) => api.coord([at(period), low])).toReversed()
      return { type: 'polygon', shape: { points: [...upper, ...lower] }, style: { fill: color }, silent: true }
    },
  }
}

export function timelineTable(timeline: Timeline, currency: string): TwinTable {
  const { metric, history, forecast, actions } = timeline
  const unit = metric.unit === 'currency' ? currency : metric.unit
  const actionsOf = (period: string) =>
    actions
      .filter((action) => at(action.date) >= at(period) && at(action.date) < at(period) + 7 * 86_400_000)
      .map((action) => `${labelOf(KINDS, action.kind).text}: ${action.title} (${labelOf(STATES, action.state).text})`)
      .join('; ')
  return {
    columns: ['Week of', 'Actual', 'Forecast', '80% interval', '95% interval', 'Actions'],
    rows: [
      ...(forecast?.points ?? [])
        .map((point) => [
          day(point.period),
          '',
          metricValue(point.mean, metric.unit, currency),
          interval(point.interval80, unit),
          interval(point.interval95, unit),
          actionsOf(point.period),
        ])
        .toReversed(),
      ...history.map((point) => [day(point.period), metricValue(point.value, metric.unit, currency), '', '', '', actionsOf(point.period)]).toReversed(),
    ],
  }
}
