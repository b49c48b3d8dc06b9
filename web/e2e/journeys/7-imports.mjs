import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const sample = (name) => fileURLToPath(new URL(`../../../examples/data/${name}`, import.meta.url))

/** Sends the file from the page and waits for its counts. */
async function send(page, ask) {
  const before = (await ask(page, '/imports?limit=200')).data.map((batch) => batch.id)
  await page.locator('input[type="file"]').setInputFiles(sample('robyn_weekly.csv'))
  const mapping = page.getByRole('combobox', { name: 'Mapping', exact: true }).or(page.getByRole('textbox', { name: 'Mapping', exact: true })).first()
  await mapping.click()
  await page.getByRole('option', { name: /robyn_weekly/i }).click()
  await page.getByRole('button', { name: 'Import', exact: true }).click()
  await page.getByText('The file arrived').first().waitFor()
  const end = Date.now() + 120_000
  for (;;) {
    const batch = (await ask(page, '/imports?limit=200')).data.find((candidate) => !before.includes(candidate.id))
    if (batch && batch.state !== 'open') return batch
    if (Date.now() > end) throw new Error(`the import is still ${batch?.state ?? 'missing'}`)
    await page.waitForTimeout(500)
  }
}

export default [
  {
    name: 'a file is imported with a mapping of its own, and the same file again changes nothing',
    async run({ page, ask }) {
      await page.goto('/imports')
      await page.getByLabel('Mapping (TOML)').fill(readFileSync(sample('robyn_weekly.mapping.toml'), 'utf8'))
      await page.getByRole('button', { name: 'Save the mapping' }).click()
      await page.getByText('Mapping saved').waitFor()
      const first = await send(page, ask)
      assert.equal(first.state, 'complete', first.error)
      assert.ok(first.counts.inserted > 0, JSON.stringify(first.counts))
      const again = await send(page, ask)
      assert.equal(again.state, 'complete', again.error)
      assert.equal(again.counts.inserted + again.counts.updated, 0, JSON.stringify(again.counts))
      await page.getByRole('row', { name: /robyn_weekly\.csv/ }).first().waitFor()
    },
  },
]
