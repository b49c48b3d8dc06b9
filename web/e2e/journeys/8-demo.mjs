import assert from 'node:assert/strict'

export default [
  {
    name: 'the demo clock is moved on by four weeks, new data arrive, and the agents are seen at work on them',
    async run({ page, ask }) {
      await page.goto('/')
      const before = (await ask(page, '/demo')).as_of
      const began = Date.now() - 1000
      await page.getByRole('button', { name: 'Advance 4 weeks' }).click()
      await page.getByText('The demo moved on by 4 weeks').waitFor({ timeout: 60_000 })
      const after = (await ask(page, '/demo')).as_of
      assert.equal((Date.parse(after) - Date.parse(before)) / 86_400_000, 28)
      await page.getByRole('link', { name: 'Agents', exact: true }).click()
      // With new data a run has something to do: how far it is shows while it lasts.
      await page.getByRole('region', { name: 'Recent runs' }).getByRole('progressbar').first().waitFor({ timeout: 60_000 })
      const runs = (await ask(page, '/runs?limit=200')).data
      assert.ok(runs.some((run) => run.trigger !== 'person' && Date.parse(run.created_at) > began), 'the new data started a run by itself')
    },
  },
  {
    name: 'signing out ends the session',
    allow: [/status of 401/],
    async run({ page }) {
      await page.goto('/')
      await page.getByRole('button', { name: /account of/ }).click()
      await page.getByRole('menuitem', { name: 'Sign out' }).click()
      await page.getByRole('heading', { name: 'Sign in to Digi-Cadence' }).waitFor()
      await page.goto('/agents')
      await page.getByRole('heading', { name: 'Sign in to Digi-Cadence' }).waitFor()
    },
  },
]
