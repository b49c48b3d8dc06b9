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
  return [
    ['overview', '/', 'Portfolio overview'],
    ['brand', `/brands/${own.brand.id}`, own.brand.name],
    ['inbox', '/recommendations', 'Recommendation inbox'],
    ['agents', '/agents', 'Agents'],
    ['plans', '/plans', 'Plans'],
    ...(plan ? [['plan', `/plans/${plan.id}`, plan.name]] : []),
    ['what-if', '/plans/what-if', 'What if'],
    ['synergies', '/synergies', 'Synergies'],
    ['gaps', '/gaps', 'Gaps and rivals'],
    ['imports', '/imports', 'Imports'],
  ]
}

export default MODES.map(({ name: mode, viewport, colorScheme }) => ({
  name: `every screen, ${mode}: no serious axe finding, nothing wider than the window`,
  viewport,
  colorScheme,
  async run({ page, ask, accessibility, drawn, overflow, screenshot }) {
    await page.goto('/')
    const problems = []
    for (const [name, path, heading] of await screens(page, ask)) {
      await page.goto(path)
      await page.getByRole('heading', { level: 1, name: heading }).first().waitFor()
      await page.waitForFunction(() => !document.querySelector('[role="status"][aria-label="Loading"]'))
      await drawn(page)
      await screenshot(page, `${name}-${mode}`)
      for (const finding of await accessibility(page)) problems.push(`${name}: ${finding}`)
      const wide = await overflow(page)
      if (wide > 0) problems.push(`${name}: ${wide} px wider than the window`)
    }
    assert.deepEqual(problems, [])
  },
}))
