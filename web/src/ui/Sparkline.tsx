interface Band {
  low: number
  high: number
}

interface Props {
  values: number[]
  /** Continues the line, dashed, with a band. */
  forecast?: { mean: number; band: Band }[]
  /** What it shows, for people who do not see it. */
  label: string
  width?: number
  height?: number
}

/** A small trend without axes. Its numbers stand beside it in the table. */
export function Sparkline({ values, forecast = [], label, width = 148, height = 34 }: Props) {
  if (values.length < 2) return <span className="muted">too few values</span>
  const all = [...values, ...forecast.flatMap((point) => [point.band.low, point.band.high])]
  const low = Math.min(...all)
  const span = Math.max(...all) - low || 1
  const count = values.length + forecast.length
  const x = (index: number) => 1 + (index / (count - 1)) * (width - 2)
  const y = (value: number) => height - 3 - ((value - low) / span) * (height - 6)
  const points = (list: { index: number; value: number }[]) => list.map((p) => `${x(p.index).toFixed(1)},${y(p.value).toFixed(1)}`).join(' ')
  const last = values.length - 1
  const future = [
    { index: last, value: values[last] ?? 0 },
    ...forecast.map((point, step) => ({ index: last + 1 + step, value: point.mean })),
  ]
  const band = [
    ...forecast.map((point, step) => ({ index: last + 1 + step, value: point.band.high })),
    ...forecast.map((point, step) => ({ index: last + 1 + step, value: point.band.low })).toReversed(),
  ]
  return (
    <svg role="img" aria-label={label} width={width} height={height} viewBox={`0 0 ${width} ${height}`} className="sparkline">
      {forecast.length > 0 && (
        <>
          <polygon className="sparkline-band" points={points([{ index: last, value: values[last] ?? 0 }, ...band])} />
          <polyline className="sparkline-forecast" points={points(future)} />
        </>
      )}
      <polyline className="sparkline-line" points={points(values.map((value, index) => ({ index, value })))} />
    </svg>
  )
}
