import { SimpleGrid } from '@mantine/core'

import { AgentCards } from '../features/agents/AgentCards'
import { SupervisionTree } from '../features/agents/SupervisionTree'
import { ConsideredPanel } from '../features/recommendations/ConsideredPanel'
import { RunsPanel } from '../features/runs/RunsPanel'
import { SchedulesPanel } from '../features/schedules/SchedulesPanel'
import { Page } from '../ui/Page'

/** Who works here, how they are, what they did and when they work next. */
export function AgentsPage() {
  return (
    <Page title="Agents" subtitle="Four agents look at the data, analyse, and propose. They never decide.">
      <AgentCards />
      <SupervisionTree />
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md" className="align-start">
        <RunsPanel />
        <SchedulesPanel />
      </SimpleGrid>
      <ConsideredPanel />
    </Page>
  )
}
