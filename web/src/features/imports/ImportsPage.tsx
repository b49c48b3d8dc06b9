import { Button, Drawer, SimpleGrid, Text, Tooltip } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'

import { api, unwrap } from '../../api/client'
import type { Batch } from '../../api/types'
import { ago, number, preciseInstant } from '../../lib/format'
import type { Label } from '../../lib/labels'
import { DataTable } from '../../ui/DataTable'
import { EmptyHint } from '../../ui/EmptyHint'
import { Page } from '../../ui/Page'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'
import { Tag } from '../../ui/Tag'
import { MappingForm } from './MappingForm'
import { importsQuery, mappingsQuery } from './queries'
import { UploadForm } from './UploadForm'

const STATES: Record<Batch['state'], Label> = {
  open: { text: 'Under way', color: 'cadence' },
  complete: { text: 'Complete', color: 'green' },
  failed: { text: 'Failed', color: 'red' },
}

export function ImportsPage() {
  const mappings = useQuery(mappingsQuery)
  const imports = useQuery(importsQuery)
  const [shown, setShown] = useState<Batch | null>(null)
  const mappingName = (id: string) => mappings.data?.find((mapping) => mapping.id === id)?.name ?? '…'
  return (
    <Page title="Imports" subtitle="Files of brand metrics. Importing the same file again changes nothing.">
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md" className="align-start">
        <Panel title="Import a file">
          <QueryView query={mappings} height={160}>
            {(list) => <UploadForm mappings={list} />}
          </QueryView>
        </Panel>
        <Panel title="Add a mapping" note="It says which column is which metric, and how dates and numbers are written.">
          <MappingForm />
        </Panel>
      </SimpleGrid>
      <Panel title="Imports so far" flush note="Counted in values, not in lines of the file.">
        <QueryView query={imports} height={200} lines={4} isEmpty={(rows) => rows.length === 0} empty={<EmptyHint title="Nothing was imported here yet">Choose a file and a mapping above, or use the command line: digi-cadence import.</EmptyHint>}>
          {(rows) => (
            <DataTable
              caption="Imports so far"
              rows={rows}
              rowKey={(batch) => batch.id}
              minWidth={860}
              columns={[
                { key: 'source', title: 'File', cell: (batch) => <span className="break">{batch.source}</span> },
                {
                  key: 'state',
                  title: 'State',
                  cell: (batch) => (
                    <Tooltip label={batch.error ?? ''} disabled={!batch.error}>
                      <span tabIndex={batch.error ? 0 : undefined}>
                        <Tag label={STATES[batch.state]} />
                      </span>
                    </Tooltip>
                  ),
                },
                { key: 'mapping', title: 'Mapping', cell: (batch) => mappingName(batch.mapping) },
                { key: 'accepted', title: 'Accepted', numeric: true, cell: (batch) => number(batch.counts.accepted) },
                { key: 'merged', title: 'Added up', numeric: true, cell: (batch) => number(batch.counts.merged) },
                { key: 'inserted', title: 'New', numeric: true, cell: (batch) => number(batch.counts.inserted) },
                { key: 'updated', title: 'Changed', numeric: true, cell: (batch) => number(batch.counts.updated) },
                { key: 'unchanged', title: 'The same', numeric: true, cell: (batch) => number(batch.counts.unchanged) },
                {
                  key: 'refused',
                  title: 'Refused',
                  numeric: true,
                  cell: (batch) =>
                    batch.counts.refused > 0 ? (
                      <Button variant="subtle" size="compact-xs" color="red" onClick={() => setShown(batch)} aria-label={`Show the ${batch.counts.refused} refused values of ${batch.source}`}>
                        {number(batch.counts.refused)}
                      </Button>
                    ) : (
                      0
                    ),
                },
                { key: 'at', title: 'When', cell: (batch) => <span title={preciseInstant(batch.created_at)}>{ago(batch.created_at)}</span> },
              ]}
            />
          )}
        </QueryView>
      </Panel>
      <Drawer opened={shown !== null} onClose={() => setShown(null)} position="right" size="xl" title={shown ? `Refused in ${shown.source}` : ''}>
        {shown && <Rejects batch={shown} />}
      </Drawer>
    </Page>
  )
}

function Rejects({ batch }: { batch: Batch }) {
  const query = useQuery({
    queryKey: ['imports', batch.id, 'rejects'],
    queryFn: async () => unwrap(api.GET('/imports/{batch_id}/rejects', { params: { path: { batch_id: batch.id }, query: { limit: 200 } } })),
  })
  return (
    <QueryView query={query} height={240} lines={5}>
      {(page) => (
        <>
          <DataTable
            caption="Refused values"
            rows={page.data}
            rowKey={(row, index) => `${row.line}-${row.column}-${index}`}
            minWidth={560}
            columns={[
              { key: 'line', title: 'Line', numeric: true, cell: (row) => number(row.line) },
              { key: 'column', title: 'Column', cell: (row) => row.column || 'whole row' },
              { key: 'why', title: 'Why', cell: (row) => row.message },
              { key: 'code', title: 'Code', cell: (row) => row.code },
              { key: 'raw', title: 'Text in the file', cell: (row) => <code className="break">{row.raw}</code> },
            ]}
          />
          {page.has_more && (
            <Text size="sm" c="dimmed">
              The first {number(page.data.length)} are shown; the API has the rest.
            </Text>
          )}
        </>
      )}
    </QueryView>
  )
}
