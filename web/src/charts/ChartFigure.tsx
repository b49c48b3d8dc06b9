import { Button, Text, Title } from '@mantine/core'
import { IconChartLine, IconTable } from '@tabler/icons-react'
import { useState, type ReactNode } from 'react'

import { DataTable } from '../ui/DataTable'
import { Canvas } from './Canvas'
import type { ChartOption } from './options'

export interface TwinTable {
  columns: string[]
  /** Cells already formatted; the first is the row's name. */
  rows: string[][]
}

interface Props {
  title: string
  unit: string
  period: string
  source: string
  option: ChartOption
  table: TwinTable
  height?: number
  note?: ReactNode
  controls?: ReactNode
  onSelect?: (data: unknown) => void
}

/** A chart with title, unit, period and source, and the same numbers as a table one click away. */
export function ChartFigure({ title, unit, period, source, option, table, height = 260, note, controls, onSelect }: Props) {
  const [asTable, setAsTable] = useState(false)
  const Icon = asTable ? IconChartLine : IconTable
  return (
    <figure className="chart-figure">
      <div className="figure-head">
        <div>
          <Title order={3}>{title}</Title>
          <Text size="xs" c="dimmed">
            {unit} · {period}
          </Text>
        </div>
        <div>
          {controls}
          <Button
            variant="subtle"
            size="compact-xs"
            leftSection={<Icon size={14} aria-hidden />}
            aria-pressed={asTable}
            onClick={() => setAsTable(!asTable)}
          >
            {asTable ? 'Show chart' : 'Show table'}
          </Button>
        </div>
      </div>
      {note}
      {asTable ? (
        <DataTable
          caption={`${title}, ${unit}, ${period}`}
          columns={table.columns.map((name, column) => ({
            key: name,
            title: name,
            numeric: column > 0,
            cell: (row: string[]) => row[column] ?? '',
          }))}
          rows={table.rows}
          rowKey={(row, index) => `${row[0]}-${index}`}
          minWidth={Math.max(280, table.columns.length * 110)}
          maxHeight={height + 40}
        />
      ) : (
        <Canvas option={option} height={height} label={`Chart: ${title}, ${unit}, ${period}. Choose Show table for the numbers.`} onSelect={onSelect} />
      )}
      <figcaption className="figure-source">Source: {source}</figcaption>
    </figure>
  )
}
