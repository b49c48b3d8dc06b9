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

      await page.getByRole('button', { name: 'Start over' }).click()
      await amount.fill(String(Math.round(old * 0.7)))
      await page.getByText(', set by you').waitFor()
      const others = () => page.locator('.line-amount input').evaluateAll((inputs) => inputs.map((input) => input.value).filter((_, at) => at !== 2))
      const unplanned = await others()
      await page.getByRole('button', { name: 'Plan the rest' }).click()
      await page.getByRole('heading', { name: 'Proof' }).waitFor()
      assert.equal(Number((await amount.inputValue()).replaceAll(',', '')), Math.round(old * 0.7), 'what a person set stays')
      assert.notDeepEqual(await others(), unplanned)
      await page.getByText(/no plan under the same rules is better/).waitFor()

      await page.getByLabel('Name').fill('Made in a browser test')
      await page.getByRole('button', { name: 'Save as draft' }).click()
      await page.getByRole('heading', { level: 1, name: 'Made in a browser test' }).waitFor()
      const draft = page.url()
      await page.getByRole('button', { name: 'Submit to the inbox' }).click()
      await page.waitForURL(/recommendations\?.*selected=rec_/)
      const id = new URL(page.url()).searchParams.get('selected')
      assert.equal((await ask(page, `/recommendations/${id}`)).recommendation.kind, 'budget_plan')
      await page.goto(draft)
      await page.getByRole('link', { name: 'Its recommendation' }).waitFor()
      assert.equal(await page.getByRole('button', { name: 'Submit to the inbox' }).count(), 0)
    },
  },
  {
    name: 'a plan proposal is edited before it is approved',
    async run({ page, ask, waitForInbox }) {
      await page.goto('/')
      const rows = await waitForInbox(page, 1)
      const plan = rows.find((row) => row.kind === 'budget_plan' && row.state !== 'snoozed')
      assert.ok(plan, 'a budget plan is in the inbox')
      await page.goto(`/recommendations?selected=${plan.id}`)
      await page.getByRole('button', { name: /^Edit/ }).waitFor()
      await page.keyboard.press('e')
      const dialog = page.getByRole('dialog', { name: 'Edit the plan, then approve' })
      // A line that may be cut by three in a hundred.
      const index = plan.action.lines.findIndex((line) => Number(line.weekly) * 0.97 > Number(line.lower))
      const amount = dialog.getByLabel(/^Planned weekly spend/).nth(index)
      const old = Number((await amount.inputValue()).replaceAll(',', ''))
      await amount.fill(String((old * 0.97).toFixed(2)))
      const approve = dialog.getByRole('button', { name: 'Approve the edited plan' })
      await dialog.getByText('computing…').waitFor({ state: 'hidden' })
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
