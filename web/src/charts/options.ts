/** What all charts share: axes, grid, and tooltips made of DOM nodes (inline styles in markup are not allowed here). */
import type { EChartsCoreOption } from 'echarts/core'

import type { Palette } from './palette'

export type ChartOption = EChartsCoreOption

export const BASE_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif'

export interface TipRow {
  name: string
  value: string
}

/** A tooltip: a heading and rows of name and value. */
export function tip(heading: string, rows: TipRow[]): HTMLElement {
  const box = document.createElement('div')
  box.className = 'chart-tip'
  const title = document.createElement('strong')
  title.textContent = heading
  box.append(title)
  for (const row of rows) {
    const line = document.createElement('div')
    line.className = 'chart-tip-row'
    const name = document.createElement('span')
    name.textContent = row.name
    const value = document.createElement('span')
    value.textContent = row.value
    line.append(name, value)
    box.append(line)
  }
  return box
}

export function base(palette: Palette): ChartOption {
  return {
    animation: false,
    textStyle: { fontFamily: BASE_FONT, color: palette.text, fontSize: 12 },
    grid: { left: 8, right: 14, top: 16, bottom: 8, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    tooltip: tooltip(palette),
  }
}

export function tooltip(palette: Palette): Record<string, unknown> {
  return {
    trigger: 'axis',
    confine: true,
    backgroundColor: palette.surface,
    borderColor: palette.axis,
    borderWidth: 1,
    padding: [8, 10],
    textStyle: { color: palette.text, fontSize: 12, fontFamily: BASE_FONT },
    axisPointer: { lineStyle: { color: palette.axis }, snap: true },
  }
}

export function axisStyle(palette: Palette): Record<string, unknown> {
  return {
    axisLine: { lineStyle: { color: palette.axis } },
    axisTick: { show: false },
    axisLabel: { color: palette.muted, hideOverlap: true, fontSize: 11 },
    splitLine: { lineStyle: { color: palette.grid } },
  }
}

/** Milliseconds of a calendar day, for time axes. */
export function at(day: string): number {
  return Date.parse(`${day.slice(0, 10)}T00:00:00Z`)
}

export const MONTH_LABELS = { year: '{yyyy}', month: '{MMM} {yy}', day: '{d} {MMM}' }
