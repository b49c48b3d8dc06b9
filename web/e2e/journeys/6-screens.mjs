import assert from 'node:assert/strict'

const MODES = [
  { name: 'light', viewport: { width: 1440, height: 900 }, colorScheme: 'light' },
  { name: 'dark', viewport: { width: 1440, height: 900 }, colorScheme: 'dark' },
  { name: 'phone', viewport: { width: 360, height: 740 }, colorScheme: 'light' },
]

async function screens(page, ask) {
  const portfolio = await ask(page, '/portfolio')
  const plan = (await ask(page, '/plans')).data[0]
  const own = portfolio.brands.find((tile) => tile.brand.role === 'primary')
  // Name, address, heading, and how many charts it has at least; on a phone the inbox begins with the list.
  const wide = page.viewportSize().width > 992
  return [
    ['overview', '/', 'Portfolio overview', 1],
    ['brand', `/brands/${own.brand.id}`, own.brand.name, 2],
    ['inbox', '/recommendations', 'Recommendation inbox', wide ? 1 : 0],
    ['agents', '/agents', 'Agents'],
    ['plans', '/plans', 'Plans'],
    ...(plan ? [['plan', `/plans/${plan.id}`, plan.name]] : []),
    ['what-if', '/plans/what-if', 'What if', 1],
    ['synergies', '/synergies', 'Synergies', 1],
    ['gaps', '/gaps', 'Gaps and rivals'],
    ['imports', '/imports', 'Imports'],
  ]
}

/** Opens every dialog and drawer that can be opened without changing anything. */
async function* dialogs(page, rows) {
  const waiting = rows.filter((row) => row.state !== 'snoozed')
  const plan = waiting.find((row) => row.kind === 'budget_plan')
  assert.ok(plan, 'a budget plan waits in the inbox')
  await page.goto(`/recommendations?selected=${plan.id}`)
  await page.getByRole('button', { name: /^Approve/ }).waitFor()
  for (const [key, name, title] of [
    ['r', 'reject', 'Reject with a reason'],
    ['s', 'snooze', 'Snooze until'],
    ['e', 'edit', 'Edit the plan, then approve'],
    ['?', 'keys', 'Keys in the inbox'],
  ]) {
    await page.keyboard.press(key)
    yield [name, page.getByRole('dialog', { name: title })]
  }
  await page.goto('/agents')
  await page.getByRole('button', { name: /^Edit the schedule of/ }).first().click()
  yield ['schedule', page.getByRole('dialog', { name: 'Edit the schedule' })]
  await page.locator('tr[data-path]').first().getByRole('button', { name: /: state of / }).click()
  yield ['actor', page.getByRole('dialog')]
  await page.getByRole('region', { name: 'Recent runs' }).getByRole('rowheader').first().getByRole('button').click()
  yield ['run', page.getByRole('dialog', { name: 'Journal of the run' })]
}

const everyDialog = MODES.map(({ name: mode, viewport, colorScheme }) => ({
  name: `every dialog, ${mode}: no serious axe finding, nothing wider than the window, closed with Escape`,
  viewport,
  colorScheme,
  async run({ page, accessibility, drawn, overflow, screenshot, waitForInbox }) {
    await page.goto('/')
    const rows = await waitForInbox(page, 1)
    const problems = []
    for await (const [name, dialog] of dialogs(page, rows)) {
      await dialog.waitFor()
      await drawn(page, 0)
      await screenshot(page, `dialog-${name}-${mode}`, false)
      for (const finding of await accessibility(page)) problems.push(`${name}: ${finding}`)
      const wide = await overflow(page)
      if (wide > 0) problems.push(`${name}: ${wide} px wider than the window`)
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'hidden' })
    }
    assert.deepEqual(problems, [])
  },
}))

const everyScreen = MODES.map(({ name: mode, viewport, colorScheme }) => ({
  name: `every screen, ${mode}: no serious axe finding, nothing wider than the window`,
  viewport,
  colorScheme,
  async run({ page, ask, accessibility, drawn, overflow, screenshot }) {
    await page.goto('/')
    const problems = []
    for (const [name, path, heading, charts = 0] of await screens(page, ask)) {
      await page.goto(path)
      await page.getByRole('heading', { level: 1, name: heading }).first().waitFor()
      await drawn(page, charts)
      await screenshot(page, `${name}-${mode}`)
      for (const finding of await accessibility(page)) problems.push(`${name}: ${finding}`)
      const wide = await overflow(page)
      if (wide > 0) problems.push(`${name}: ${wide} px wider than the window`)
    }
    assert.deepEqual(problems, [])
  },
}))

export default [...everyScreen, ...everyDialog]
