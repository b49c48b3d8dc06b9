import { Button, Group, Paper, SegmentedControl, Select, Text } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'

import { useCatalogue } from '../../api/catalogue'
import { useCurrency, useForbidden, useMe, useToday } from '../../api/session'
import type { Action, Recommendation } from '../../api/types'
import { number } from '../../lib/format'
import { VIEWS, type InboxSearch, type View } from '../../lib/inbox-search'
import { AGENTS, KINDS } from '../../lib/labels'
import { EmptyHint } from '../../ui/EmptyHint'
import { ButtonLink } from '../../ui/links'
import { Page } from '../../ui/Page'
import { QueryView } from '../../ui/QueryView'
import { EditDialog } from './EditDialog'
import { HelpDialog } from './HelpDialog'
import { commandFor, isTyping, successor, type Dialog } from './keyboard'
import { detailQuery, distinct, inboxQuery } from './queries'
import { RecommendationCard } from './RecommendationCard'
import { RecommendationView } from './RecommendationView'
import { RejectDialog } from './RejectDialog'
import { SnoozeDialog } from './SnoozeDialog'
import { hint, useInbox } from './useInbox'

const LAYER = '[role="dialog"], [role="menu"]'

export function InboxPage() {
  const search = useSearch({ from: '/app/recommendations' })
  const navigate = useNavigate({ from: '/recommendations' })
  const me = useMe()
  const names = useCatalogue()
  const currency = useCurrency()
  const forbidden = useForbidden('recommendation_decide')
  const wide = useMediaQuery('(min-width: 62em)', true, { getInitialValueInEffect: false })
  const today = useToday()
  const [dialog, setDialog] = useState<Dialog | null>(null)
  const lastIndex = useRef(0)
  const selectedCard = useRef<HTMLButtonElement>(null)

  const list = useInfiniteQuery(inboxQuery(search))
  const rows = useMemo(() => distinct(list.data?.pages ?? []), [list.data])
  const ids = useMemo(() => rows.map((row) => row.id), [rows])
  const selected = search.selected ?? (wide ? (ids[0] ?? null) : null)
  const detail = useQuery({ ...detailQuery(selected ?? ''), enabled: selected !== null })
  const opened = detail.data
  const recommendation = opened?.detail.recommendation

  const change = useCallback(
    (patch: Partial<InboxSearch>) => void navigate({ search: (old) => ({ ...old, ...patch }) as InboxSearch, replace: 'selected' in patch && Object.keys(patch).length === 1 }),
    [navigate],
  )
  const select = useCallback((id: string | undefined) => change({ selected: id }), [change])

  const inbox = useInbox({
    onDecided: (id) => {
      setDialog(null)
      if ((search.view ?? 'open') === 'open') select(successor(ids, id) ?? undefined)
    },
    onUndone: (id) => select(id),
  })
  const { look, make, undo } = inbox

  const index = selected === null ? -1 : ids.indexOf(selected)
  useEffect(() => {
    if (index >= 0) lastIndex.current = index
    selectedCard.current?.scrollIntoView({ block: 'nearest' })
  }, [index])

  const lookAt = opened && opened.detail.recommendation.state === 'proposed' && forbidden === null ? opened : null
  useEffect(() => (lookAt ? look(lookAt) : undefined), [lookAt, look])

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const command = commandFor(
        { key: event.key, modified: event.ctrlKey || event.metaKey || event.altKey, typing: isTyping(document.activeElement) },
        {
          ids,
          selected,
          lastIndex: lastIndex.current,
          // The Escape that closes a dialog comes here once the dialog is gone; it was meant for the dialog alone.
          dialog: dialog ?? (document.querySelector(LAYER) || (event.target instanceof Element && event.target.closest(LAYER)) ? 'help' : null),
          allowed: opened?.detail.allowed ?? [],
          editable: recommendation?.action.kind === 'budget_plan',
          undoable: inbox.undoable !== null,
          mayDecide: forbidden === null,
        },
      )
      if (!command) return
      event.preventDefault()
      switch (command.type) {
        case 'select':
          return select(command.id)
        case 'approve':
          if (selected && !event.repeat && !inbox.busy) void make(selected, { type: 'approve' })
          return
        case 'dialog':
          return setDialog(command.dialog)
        case 'undo': {
          const seen = inbox.undoable ?? opened
          if (seen && !event.repeat) void undo(seen)
          return
        }
        case 'back':
          return wide ? undefined : select(undefined)
        case 'refuse':
          return hint(command.why)
        default:
          command satisfies never
      }
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  })

  const showList = wide || selected === null
  const showDetail = wide || selected !== null
  const approveEdited = async (action: Action) => {
    if (selected) await make(selected, { type: 'approve', action })
  }

  return (
    <Page title="Recommendation inbox" subtitle={list.data ? subtitle(search.view ?? 'open', rows, list.hasNextPage) : undefined}>
      {showList && <Filters search={search} brands={names.brands} onChange={(patch) => change({ ...patch, selected: undefined })} />}
      <div className="inbox">
        {showList && (
          <Paper component="section" aria-label="Recommendations" className="inbox-list">
            <QueryView
              query={list}
              height={480}
              lines={6}
              isEmpty={() => rows.length === 0}
              empty={
                <EmptyHint
                  title={(search.view ?? 'open') === 'open' ? 'Nothing waits for a decision' : 'Nothing here'}
                  action={
                    <ButtonLink variant="default" to="/agents">
                      See the agents
                    </ButtonLink>
                  }
                >
                  {search.kind || search.agent || search.brand ? 'Take a filter away, or look at another view.' : 'The agents propose when the data give reason. You can let one run now.'}
                </EmptyHint>
              }
            >
              {() => (
                <ul className="plain">
                  {rows.map((row) => (
                    <li key={row.id}>
                      <RecommendationCard
                        ref={row.id === selected ? selectedCard : undefined}
                        recommendation={row}
                        brandName={names.brand}
                        today={today}
                        selected={row.id === selected}
                        onSelect={() => select(row.id)}
                      />
                    </li>
                  ))}
                </ul>
              )}
            </QueryView>
            {list.hasNextPage && (
              <Button variant="subtle" fullWidth loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
                Show more
              </Button>
            )}
          </Paper>
        )}
        {showDetail && (
          <Paper component="section" aria-label="Selected recommendation" className="inbox-detail">
            {selected === null ? (
              <EmptyHint title="Nothing is selected">Choose a recommendation from the list, or press J.</EmptyHint>
            ) : (
              <QueryView query={detail} height={480} lines={4}>
                {(seen) => (
                  <RecommendationView
                    opened={seen}
                    names={names}
                    me={me}
                    currency={currency}
                    today={today}
                    busy={inbox.busy}
                    forbidden={forbidden}
                    conflict={inbox.conflictOf(selected)}
                    onReload={() => void inbox.reload(selected)}
                    onBack={wide ? undefined : () => select(undefined)}
                    onApprove={() => void make(selected, { type: 'approve' })}
                    onUndo={() => void undo(seen)}
                    onDialog={setDialog}
                  />
                )}
              </QueryView>
            )}
          </Paper>
        )}
      </div>
      <HelpDialog opened={dialog === 'help'} onClose={() => setDialog(null)} />
      {recommendation && selected && (
        <>
          <RejectDialog title={recommendation.title} opened={dialog === 'reject'} busy={inbox.busy} onClose={() => setDialog(null)} onReject={(reason, comment) => void make(selected, { type: 'reject', reason, comment: comment || undefined })} />
          <SnoozeDialog today={today} expires={recommendation.expires_on} opened={dialog === 'snooze'} busy={inbox.busy} onClose={() => setDialog(null)} onSnooze={(until) => void make(selected, { type: 'snooze', until })} />
          {recommendation.action.kind === 'budget_plan' && (
            <EditDialog action={recommendation.action} names={names} currency={currency} opened={dialog === 'edit'} busy={inbox.busy} error={inbox.conflictOf(selected)} onClose={() => setDialog(null)} onApprove={(action) => void approveEdited(action)} />
          )}
        </>
      )}
    </Page>
  )
}

function subtitle(view: View, rows: Recommendation[], hasMore: boolean): string {
  const snoozed = view === 'open' ? rows.filter((row) => row.state === 'snoozed').length : 0
  const count = rows.length - snoozed
  const what = view === 'open' ? (count === 1 ? 'waits for a decision' : 'wait for a decision') : VIEWS[view].text.toLowerCase()
  return `${number(count)}${hasMore ? ' or more' : ''} ${what}, largest effect first${snoozed > 0 ? `; ${number(snoozed)} snoozed, at the end` : ''}`
}

function Filters({ search, brands, onChange }: { search: InboxSearch; brands: { id: string; name: string; role: string }[]; onChange: (patch: Partial<InboxSearch>) => void }) {
  return (
    <Group gap="xs" className="filters">
      <div className="filter-views">
        <SegmentedControl
          size="xs"
          aria-label="View"
          value={search.view ?? 'open'}
          onChange={(view) => onChange({ view: view === 'open' ? undefined : (view as View) })}
          data={Object.entries(VIEWS).map(([value, { text }]) => ({ value, label: text }))}
        />
      </div>
      <Select size="xs" aria-label="Kind" placeholder="Every kind" clearable w={160} value={search.kind ?? null} onChange={(kind) => onChange({ kind: (kind as InboxSearch['kind']) ?? undefined })} data={Object.entries(KINDS).map(([value, { text }]) => ({ value, label: text }))} />
      <Select size="xs" aria-label="Agent" placeholder="Every agent" clearable w={160} value={search.agent ?? null} onChange={(agent) => onChange({ agent: (agent as InboxSearch['agent']) ?? undefined })} data={Object.entries(AGENTS).map(([value, { text }]) => ({ value, label: text }))} />
      <Select size="xs" aria-label="Brand" placeholder="Every brand" clearable searchable w={160} value={search.brand ?? null} onChange={(brand) => onChange({ brand: brand ?? undefined })} data={brands.filter((brand) => brand.role === 'primary').map((brand) => ({ value: brand.id, label: brand.name }))} />
      <Text size="xs" c="dimmed" visibleFrom="md">
        Press ? for the keys
      </Text>
    </Group>
  )
}
