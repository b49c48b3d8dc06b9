import { Skeleton } from '@mantine/core'
import type { EChartsType } from 'echarts/core'
import { useEffect, useRef, useState } from 'react'

import type { ChartOption } from './options'

interface Props {
  option: ChartOption
  height: number
  /** What is drawn, for people who do not see it; the table twin has the numbers. */
  label: string
  onSelect?: (data: unknown) => void
}

/** One drawing. It loads the engine when it is first needed and follows the size of its box. */
export function Canvas({ option, height, label, onSelect }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<EChartsType | null>(null)
  const select = useRef(onSelect)
  const [ready, setReady] = useState(false)

  useEffect(() => {
    select.current = onSelect
  }, [onSelect])

  useEffect(() => {
    let gone = false
    let observer: ResizeObserver | undefined
    const start = async () => {
      const { init } = await import('./engine')
      if (gone || !box.current) return
      const made = init(box.current, undefined, { renderer: 'canvas' })
      made.on('click', (event: { data?: unknown }) => select.current?.(event.data))
      chart.current = made
      observer = new ResizeObserver(() => made.resize())
      observer.observe(box.current)
      setReady(true)
    }
    void start()
    return () => {
      gone = true
      observer?.disconnect()
      chart.current?.dispose()
      chart.current = null
    }
  }, [])

  useEffect(() => {
    if (ready) chart.current?.setOption(option, { notMerge: true })
  }, [option, ready])

  return (
    <div style={{ position: 'relative', height }}>
      {!ready && <Skeleton height={height} pos="absolute" w="100%" />}
      <div ref={box} role="img" aria-label={label} className="chart-canvas" style={{ height }} data-ready={ready} />
    </div>
  )
}
