import assert from 'node:assert/strict'

export default [
  {
    name: 'an actor that is restarted comes back and the page shows its restart count rise',
    async run({ page, ask, screenshot }) {
      await page.goto('/agents')
      const { nodes } = await ask(page, '/agents/tree')
      const parents = new Set(nodes.map((node) => node.path.slice(0, Math.max(0, node.path.lastIndexOf('/')))))
      const target = nodes.find((node) => /\/forecasting/.test(node.path) && !parents.has(node.path)) ?? nodes.find((node) => /\/agents\//i.test(node.path) && !parents.has(node.path))
      assert.ok(target, 'there is a leaf below the agents')
      const row = page.locator(`tr[data-path="${target.path}"]`)
      await row.waitFor()
      const before = Number(await row.locator('[data-restarts]').getAttribute('data-restarts'))
      const others = nodes.filter((node) => !/\/agents\//i.test(node.path))
      await row.getByRole('button', { name: `Restart ${target.path}` }).click()
      await page.waitForFunction(
        ([path, count]) => Number(document.querySelector(`tr[data-path="${path}"] [data-restarts]`)?.dataset.restarts ?? 0) > count,
        [target.path, before],
        { timeout: 30_000 },
      )
      const after = (await ask(page, '/agents/tree')).nodes
      for (const other of others) {
        const now = after.find((node) => node.path === other.path)
        assert.equal(now?.restarts, other.restarts, `${other.path} was left alone`)
      }
      await row.getByRole('button', { name: `state of ${target.path}` }).click()
      await page.getByText('Observed state').waitFor()
      await screenshot(page, 'agents-restarted-light')
    },
  },
  {
    name: 'run now starts a run whose journal can be read',
    async run({ page, ask }) {
      await page.goto('/agents')
      const agent = 'optimisation'
      const before = (await ask(page, `/runs?agent=${agent}&limit=200`)).data.map((run) => run.id)
      await page.locator(`[data-agent="${agent}"]`).getByRole('button', { name: /^Run now: / }).click()
      await page.getByText('A run was started').waitFor()
      const end = Date.now() + 30_000
      let made
      while (!made && Date.now() < end) {
        await page.waitForTimeout(300)
        made = (await ask(page, `/runs?agent=${agent}&limit=200`)).data.find((run) => !before.includes(run.id))
      }
      assert.ok(made, 'a run was made')
      const runs = page.getByRole('region', { name: 'Recent runs' })
      await runs.getByText('a person').first().waitFor()
      await runs.getByRole('rowheader').first().getByRole('button').click()
      await page.getByRole('dialog', { name: 'Journal of the run' }).waitFor()
      await page.getByText('Data digest').waitFor()
    },
  },
  {
    name: 'an agent is paused and resumed',
    async run({ page }) {
      await page.goto('/agents')
      const pause = page.getByRole('button', { name: /^Pause: / }).first()
      const name = (await pause.getAttribute('aria-label')).slice('Pause: '.length)
      await pause.click()
      const resume = page.getByRole('button', { name: `Resume: ${name}` })
      await resume.click()
      await page.getByRole('button', { name: `Pause: ${name}` }).waitFor()
    },
  },
  {
    name: 'a schedule is edited, shows its next times, and a wrong expression is refused while typing',
    async run({ page, accessibility }) {
      await page.goto('/agents')
      await page.getByRole('button', { name: /^Edit the schedule of/ }).first().click()
      const dialog = page.getByRole('dialog', { name: 'Edit the schedule' })
      const cron = dialog.getByLabel('Cron expression')
      await cron.fill('61 6 * * 1')
      await dialog.getByText('The minute must be 0 to 59.').waitFor()
      assert.deepEqual(await accessibility(page), [])
      await cron.fill('15 4 * * 2')
      await dialog.getByRole('button', { name: 'Save' }).click()
      await page.getByText('Schedule saved').waitFor()
      await page.getByText('every Tuesday at 04:15').waitFor()
    },
  },
]
