import assert from 'node:assert/strict'

export default [
  {
    name: 'a what-if shows the effect at once, keeps the total, and becomes a recommendation',
    async run({ page, ask, drawn, waitForInbox }) {
      await page.goto('/plans/what-if')
      await waitForInbox(page, 1)
      await page.reload()
      const effect = page.getByTestId('what-if-effect')
      await page.waitForFunction(() => !/…/.test(document.querySelector('[data-testid="what-if-effect"]')?.textContent ?? '…'))
      const before = await effect.innerText()
      const amount = page.locator('.line-amount input').nth(2)
      const old = Number((await amount.inputValue()).replaceAll(',', ''))
      await amount.fill(String(Math.round(old * 1.4) + 500))
      await page.waitForFunction((text) => document.querySelector('[data-testid="what-if-effect"]')?.textContent !== text, before)
      await page.getByText(/^kept, as in/).waitFor()
      await page.getByLabel('Keep the total').uncheck()
      await amount.fill(String(Math.round(old * 1.5) + 700))
      await page.getByText(/^changed by/).waitFor()
      await drawn(page)

      await page.getByLabel('Name').fill('Made in a browser test')
      await page.getByRole('button', { name: 'Save as draft' }).click()
      await page.getByRole('heading', { level: 1, name: 'Made in a browser test' }).waitFor()
      await page.getByRole('button', { name: 'Submit to the inbox' }).click()
      await page.waitForURL(/recommendations\?.*selected=rec_/)
      const id = new URL(page.url()).searchParams.get('selected')
      assert.equal((await ask(page, `/recommendations/${id}`)).recommendation.kind, 'budget_plan')
    },
  },
  {
    name: 'a plan proposal is edited before it is approved',
    async run({ page, ask, waitForInbox }) {
      await page.goto('/')
      const rows = await waitForInbox(page, 1)
      const plan = rows.find((row) => row.kind === 'budget_plan')
      assert.ok(plan, 'a budget plan is in the inbox')
      await page.goto(`/recommendations?selected=${plan.id}`)
      await page.getByRole('button', { name: /^Edit/ }).waitFor()
      await page.keyboard.press('e')
      const dialog = page.getByRole('dialog', { name: 'Edit the plan, then approve' })
      const amount = dialog.getByLabel(/^Planned weekly spend/).first()
      const old = Number((await amount.inputValue()).replaceAll(',', ''))
      await amount.fill(String((old * 0.97).toFixed(2)))
      const approve = dialog.getByRole('button', { name: 'Approve the edited plan' })
      await page.waitForTimeout(800)
      await approve.click()
      await page.getByText('Approved', { exact: true }).first().waitFor()
      const { recommendation } = await ask(page, `/recommendations/${plan.id}`)
      assert.equal(recommendation.state, 'approved')
      assert.notEqual(recommendation.action_hash, plan.action_hash)
      await page.keyboard.press('u')
      await page.getByText('Decision undone', { exact: true }).waitFor()
    },
  },
]
