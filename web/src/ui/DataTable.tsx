import { Table } from '@mantine/core'
import type { ReactNode } from 'react'

export interface Column<Row> {
  key: string
  title: string
  /** Numbers are right-aligned with tabular digits. */
  numeric?: boolean
  cell: (row: Row) => ReactNode
  width?: number | string
}

interface Props<Row> {
  /** What the table holds; read by screen readers, shown when `showCaption`. */
  caption: string
  columns: Column<Row>[]
  rows: Row[]
  rowKey: (row: Row, index: number) => string
  minWidth?: number
  maxHeight?: number
  /** Leading cell of each row is its header. */
  rowHeader?: boolean
}

/** A plain table with a caption and scopes; it scrolls by itself when it is too wide. */
export function DataTable<Row>({ caption, columns, rows, rowKey, minWidth = 480, maxHeight, rowHeader = true }: Props<Row>) {
  return (
    <section className="table-scroll" tabIndex={0} aria-label={caption} style={maxHeight ? { maxHeight } : undefined}>
      <Table miw={minWidth} stickyHeader={Boolean(maxHeight)} highlightOnHover fz="sm">
        <Table.Caption className="visually-hidden">{caption}</Table.Caption>
        <Table.Thead>
          <Table.Tr>
            {columns.map((column) => (
              <Table.Th key={column.key} scope="col" className={column.numeric ? 'numeric' : undefined} w={column.width}>
                {column.title}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row, index) => (
            <Table.Tr key={rowKey(row, index)}>
              {columns.map((column, position) =>
                rowHeader && position === 0 ? (
                  <Table.Th key={column.key} scope="row" className={column.numeric ? 'numeric row-head' : 'row-head'}>
                    {column.cell(row)}
                  </Table.Th>
                ) : (
                  <Table.Td key={column.key} className={column.numeric ? 'numeric figure' : undefined}>
                    {column.cell(row)}
                  </Table.Td>
                ),
              )}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  )
}
