/** Effects of each brand's media on the sales of the others. */
import type { CrossEffect } from '../api/types'
import { interval, money, significance } from '../lib/format'
import { labelOf, VERDICTS } from '../lib/labels'
import type { TwinTable } from './ChartFigure'
import { axisStyle, base, tip, type ChartOption } from './options'
import type { Palette } from './palette'

export function effectsOption(effects: CrossEffect[], drivers: string[], affected: string[], name: (id: string) => string, currency: string, palette: Palette, narrow: boolean): ChartOption {
  const style = axisStyle(palette)
  const reach = Math.max(1, ...effects.map((effect) => Math.abs(effect.estimate)))
  const data = effects.map((effect) => ({
    value: [affected.indexOf(effect.affected), drivers.indexOf(effect.driver), effect.estimate],
    effect,
  }))
  const label = { color: palette.muted, fontSize: 11, width: 84, overflow: 'truncate' }
  const title = { color: palette.muted, fontSize: 11 }
  return {
    ...base(palette),
    grid: { left: 28, right: 8, top: 4, bottom: 76, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    tooltip: {
      ...(base(palette)['tooltip'] as object),
      trigger: 'item',
      formatter: (item: { data?: { effect?: CrossEffect } }) => {
        const effect = item.data?.effect
        if (!effect) return ''
        return tip(`${name(effect.driver)} → ${name(effect.affected)}`, [
          { name: labelOf(VERDICTS, effect.verdict).text, value: money(effect.estimate, currency, { signed: true, compact: true }) },
          { name: '95% interval', value: interval(effect.interval95, currency, { compact: true, signed: true }) },
          { name: 'q-value', value: significance(effect.q_value) },
        ])
      },
    },
    xAxis: { type: 'category', data: affected.map(name), name: 'brand whose sales change', nameLocation: 'middle', nameGap: narrow ? 52 : 28, nameTextStyle: title, ...style, axisLabel: { ...label, interval: 0, rotate: narrow ? 50 : 0 }, splitLine: { show: true, lineStyle: { color: palette.grid } } },
    yAxis: { type: 'category', data: drivers.map(name), name: 'brand whose media rise', nameLocation: 'middle', nameGap: 62, nameTextStyle: title, inverse: true, ...style, axisLabel: label, splitLine: { show: true, lineStyle: { color: palette.grid } } },
    visualMap: {
      min: -reach,
      max: reach,
      calculable: false,
      orient: 'horizontal',
      left: 'center',
      bottom: 0,
      itemHeight: 120,
      itemWidth: 10,
      text: [`lifts +${money(reach, currency, { compact: true })}`, `takes −${money(reach, currency, { compact: true })}`],
      textStyle: { color: palette.muted, fontSize: 11 },
      inRange: { color: [palette.takes, palette.neutral, palette.lifts] },
    },
    series: [
      {
        type: 'heatmap',
        data,
        itemStyle: { borderColor: palette.surface, borderWidth: 2 },
        label: {
          show: !narrow,
          fontSize: 11,
          fontWeight: 600,
          color: palette.text,
          formatter: (item: { data?: { effect?: CrossEffect } }) => {
            const effect = item.data?.effect
            return effect && effect.verdict !== 'no_evidence' ? money(effect.estimate, currency, { compact: true, signed: true }) : ''
          },
        },
        emphasis: { itemStyle: { borderColor: palette.text } },
      },
    ],
  }
}

export function effectsTable(effects: CrossEffect[], name: (id: string) => string, currency: string): TwinTable {
  return {
    columns: ['Driver → affected', 'Effect of +10% media', '80% interval', '95% interval', 'p', 'q', 'Conclusion'],
    rows: effects.map((effect) => [
      `${name(effect.driver)} → ${name(effect.affected)}`,
      money(effect.estimate, currency, { signed: true }),
      interval(effect.interval80, currency, { signed: true }),
      interval(effect.interval95, currency, { signed: true }),
      significance(effect.p_value),
      significance(effect.q_value),
      labelOf(VERDICTS, effect.verdict).text,
    ]),
  }
}
