import assert from 'node:assert/strict'

export default [
  {
    name: 'the overview shows sales, every own brand and a chart with its table',
    async run({ page, ask, drawn, waitForInbox }) {
      await page.goto('/')
      await waitForInbox(page, 1)
      const portfolio = await ask(page, '/portfolio')
      const own = portfolio.brands.filter((tile) => tile.brand.role === 'primary')
      const table = page.getByRole('region', { name: 'Table of the brands' })
      await table.getByRole('row').nth(own.length).waitFor()
      assert.equal(await table.getByRole('row').count(), own.length + 1)
      for (const tile of own) await table.getByRole('link', { name: tile.brand.name, exact: true }).waitFor()
      await drawn(page)
      await page.getByRole('button', { name: 'Show table' }).click()
      await page.getByRole('columnheader', { name: 'Week of' }).waitFor()
      await table.getByRole('button', { name: 'Brand' }).click()
      const first = await table.getByRole('rowheader').first().innerText()
      assert.ok(first.startsWith(own.map((tile) => tile.brand.name).toSorted((a, b) => a.localeCompare(b))[0]), first)
    },
  },
  {
    name: 'a brand page has history, forecast and actions on one axis, with a table of the same numbers',
    async run({ page, ask, drawn }) {
      await page.goto('/')
      const portfolio = await ask(page, '/portfolio')
      const tile = portfolio.brands.find((candidate) => candidate.brand.role === 'primary')
      await page.getByRole('link', { name: tile.brand.name, exact: true }).click()
      await page.getByRole('heading', { level: 1, name: tile.brand.name }).waitFor()
      await drawn(page)
      await page.getByRole('heading', { name: 'Score', exact: true }).waitFor()
      await page.getByRole('button', { name: 'Show table' }).first().click()
      await page.getByRole('columnheader', { name: '95% interval' }).first().waitFor()
      const box = page.getByRole('combobox', { name: 'Metric' }).or(page.getByLabel('Metric', { exact: true })).first()
      const shown = await box.inputValue()
      await box.click()
      await page.getByRole('option').filter({ hasNotText: shown }).first().click()
      await page.waitForURL(/metric=met_/)
    },
  },
]
