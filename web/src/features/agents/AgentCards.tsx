import { Button, Group, Paper, SimpleGrid, Text, Title, Tooltip } from '@mantine/core'
import { IconPlayerPause, IconPlayerPlay, IconRefresh } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'

import { useForbidden } from '../../api/session'
import type { Agent } from '../../api/types'
import { ago, instant, number, preciseInstant, share } from '../../lib/format'
import { AGENT_STATUS, labelOf, RUN_STATES } from '../../lib/labels'
import { EmptyHint } from '../../ui/EmptyHint'
import { TextLink } from '../../ui/links'
import { QueryView } from '../../ui/QueryView'
import { Tag } from '../../ui/Tag'
import { agentsQuery, useControl } from './queries'

/** The four agents: how they are, what they did, how right they were. */
export function AgentCards() {
  const query = useQuery(agentsQuery)
  return (
    <QueryView query={query} height={220} isEmpty={(agents) => agents.length === 0} empty={<EmptyHint title="No agents are running">They start with the server.</EmptyHint>}>
      {(agents) => (
        <SimpleGrid cols={{ base: 1, sm: 2, xl: 4 }} spacing="sm">
          {agents.map((agent) => (
            <AgentCard key={agent.kind} agent={agent} />
          ))}
        </SimpleGrid>
      )}
    </QueryView>
  )
}

/** How many of its applied proposals were measured, and how many kept what they promised. */
function trackWords({ applied, verified, refuted, inconclusive }: Agent['track']): string {
  if (applied === 0) return 'nothing applied yet'
  const judged = verified + refuted
  if (judged + inconclusive === 0) return `${number(applied)} applied, none measured yet`
  const right = judged > 0 ? `, ${number(verified)} of ${number(judged)} as promised (${share(verified / judged)})` : ''
  return `${number(applied)} applied${right}${inconclusive > 0 ? `, ${number(inconclusive)} inconclusive` : ''}`
}

function AgentCard({ agent }: { agent: Agent }) {
  const forbidden = useForbidden('agent_control')
  const control = useControl()
  const { last_run: last } = agent
  const paused = agent.status === 'paused'
  return (
    <Paper p="md" component="section" aria-label={`${agent.title} agent`} className="agent-card" data-agent={agent.kind}>
      <Group justify="space-between" wrap="nowrap" align="flex-start" gap="xs">
        <Title order={2}>{agent.title}</Title>
        <Tag label={labelOf(AGENT_STATUS, agent.status)} />
      </Group>
      <Text size="xs" c="dimmed" className="agent-description">
        {agent.description}
      </Text>
      <dl className="facts">
        <div>
          <dt>Last run</dt>
          <dd title={preciseInstant(last?.ended_at ?? last?.started_at)}>
            {last ? `${labelOf(RUN_STATES, last.state).text.toLowerCase()} ${ago(last.ended_at ?? last.started_at ?? last.created_at)}` : 'never'}
          </dd>
        </div>
        <div>
          <dt>Next run</dt>
          <dd title={preciseInstant(agent.next_at)}>{agent.next_at ? `${instant(agent.next_at)} (${ago(agent.next_at)})` : 'not planned'}</dd>
        </div>
        <div>
          <dt>In the inbox</dt>
          <dd>
            <TextLink to="/recommendations" search={{ agent: agent.kind }} size="xs">
              {number(agent.open_recommendations)} open
            </TextLink>
          </dd>
        </div>
        <div>
          <dt>Track record</dt>
          <dd>
            {trackWords(agent.track)}
          </dd>
        </div>
      </dl>
      <Group gap="xs" pt="sm" mt="auto">
        <Tooltip label={forbidden ?? 'Starts a cycle now: observe, analyse, decide, propose.'}>
          <Button
            leftSection={<IconRefresh size={14} aria-hidden />}
            aria-label={`Run now: ${agent.title}`}
            disabled={forbidden !== null || agent.status === 'running'}
            loading={control.isPending && control.variables.control === 'run'}
            onClick={() => control.mutate({ agent: agent.kind, control: 'run' })}
          >
            Run now
          </Button>
        </Tooltip>
        <Button
          variant="default"
          leftSection={paused ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />}
          aria-label={`${paused ? 'Resume' : 'Pause'}: ${agent.title}`}
          disabled={forbidden !== null}
          loading={control.isPending && control.variables.control !== 'run'}
          onClick={() => control.mutate({ agent: agent.kind, control: paused ? 'resume' : 'pause' })}
        >
          {paused ? 'Resume' : 'Pause'}
        </Button>
      </Group>
    </Paper>
  )
}
