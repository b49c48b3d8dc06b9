import { useQuery } from '@tanstack/react-query'

import { api, unwrap } from '../../api/client'
import { AGENTS, KINDS, labelOf, subjectWords, words } from '../../lib/labels'
import { DataTable } from '../../ui/DataTable'
import { EmptyHint } from '../../ui/EmptyHint'
import { Panel } from '../../ui/Panel'
import { QueryView } from '../../ui/QueryView'

/** What the agents looked at and did not propose, and why. */
export function ConsideredPanel() {
  const query = useQuery({
    queryKey: ['recommendations', 'considered'],
    queryFn: async () => (await unwrap(api.GET('/recommendations/considered', { params: { query: { limit: 100 } } }))).data,
    refetchInterval: 30_000,
  })
  return (
    <Panel title="Considered and not proposed" flush>
      <QueryView query={query} height={200} lines={4} isEmpty={(rows) => rows.length === 0} empty={<EmptyHint title="Nothing was turned down">It fills when an agent has run.</EmptyHint>}>
        {(rows) => (
          <DataTable
            caption="Considered and not proposed"
            rows={rows}
            rowKey={(row, index) => `${row.kind}-${row.subject}-${index}`}
            minWidth={640}
            maxHeight={380}
            columns={[
              { key: 'subject', title: 'About', cell: (row) => subjectWords(row.subject) },
              { key: 'kind', title: 'Kind', cell: (row) => labelOf(KINDS, row.kind).text },
              { key: 'agent', title: 'Agent', cell: (row) => labelOf(AGENTS, row.agent).text },
              { key: 'reason', title: 'Why not', cell: (row) => words(row.reason) },
              { key: 'detail', title: 'Numbers', cell: (row) => row.detail },
            ]}
          />
        )}
      </QueryView>
    </Panel>
  )
}
