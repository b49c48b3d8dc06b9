import assert from 'node:assert/strict'

const detail = (page) => page.getByRole('region', { name: 'Selected recommendation' })
const title = async (page) => detail(page).getByRole('heading', { level: 2 }).first().innerText()
const selectedId = (page) => new URL(page.url()).searchParams.get('selected')

async function openInbox(page, waitForInbox, least = 4) {
  await page.goto('/recommendations')
  const rows = await waitForInbox(page, least)
  await page.reload()
  await detail(page).getByRole('heading', { level: 2 }).first().waitFor()
  return rows
}

/** Moves on to the next row that can be decided, so that the selection stands in the address. */
async function next(page) {
  for (let step = 0; step < 40; step += 1) {
    const before = selectedId(page)
    await page.keyboard.press('j')
    // Two proposals may have one title: the address names the one that is meant, and card and detail must agree with it.
    await page.waitForFunction((old) => {
      const id = new URL(globalThis.location.href).searchParams.get('selected')
      const card = document.querySelector(`.inbox-card[data-id="${id}"][aria-current="true"]`)
      const heading = document.querySelector('section[aria-label="Selected recommendation"] h2')?.textContent
      return id !== null && id !== old && card !== null && heading && card.textContent.startsWith(heading)
    }, before)
    const approve = detail(page).getByRole('button', { name: /^Approve/ })
    if ((await approve.count()) > 0 && (await approve.getAttribute('aria-disabled')) === 'false') return selectedId(page)
  }
  throw new Error('nothing in the inbox can be decided')
}

export default [
  {
    name: 'a recommendation is approved with the keyboard and the approval is undone',
    reducedMotion: 'no-preference',
    async run({ page, ask, waitForInbox }) {
      await openInbox(page, waitForInbox)
      const id = await next(page)
      const name = await title(page)
      await page.keyboard.press('a')
      await page.getByText('Approved', { exact: true }).first().waitFor()
      assert.equal((await ask(page, `/recommendations/${id}`)).recommendation.state, 'approved')
      await page.keyboard.press('u')
      await page.getByText('Decision undone', { exact: true }).waitFor()
      assert.equal((await ask(page, `/recommendations/${id}`)).recommendation.state, 'in_review')
      await page.waitForURL(new RegExp(`selected=${id}`))
      assert.equal(await title(page), name)
    },
  },
  {
    name: 'an approval that nobody undoes is applied',
    async run({ page, ask, screenshot, waitForInbox }) {
      await openInbox(page, waitForInbox)
      const id = await next(page)
      await page.keyboard.press('a')
      await page.getByText('Approved', { exact: true }).first().waitFor()
      await screenshot(page, 'inbox-approved-light')
      const end = Date.now() + 60_000
      let state = 'approved'
      while ((state === 'approved' || state === 'applying') && Date.now() < end) {
        await page.waitForTimeout(500)
        state = (await ask(page, `/recommendations/${id}`)).recommendation.state
      }
      assert.ok(['applied', 'measuring'].includes(state), `it is ${state}`)
      await page.goto(`/recommendations?view=all&selected=${id}`)
      await detail(page).getByText(/Applied|Measuring/).first().waitFor()
    },
  },
  {
    name: 'a recommendation is rejected with a reason, leaves the inbox, and the reason stands in its history',
    async run({ page, ask, accessibility, screenshot, waitForInbox }) {
      await openInbox(page, waitForInbox)
      const id = await next(page)
      await page.keyboard.press('r')
      const dialog = page.getByRole('dialog', { name: 'Reject with a reason' })
      await dialog.waitFor()
      assert.deepEqual(await accessibility(page), [])
      await screenshot(page, 'reject-dialog-light')
      await dialog.getByRole('radio', { name: /Cannot be done/ }).check()
      await dialog.getByLabel('Comment').fill('The retailer has no space before spring.')
      await dialog.getByRole('button', { name: 'Reject', exact: true }).click()
      await page.getByText('Rejected', { exact: true }).first().waitFor()
      const { recommendation, history } = await ask(page, `/recommendations/${id}`)
      assert.equal(recommendation.state, 'rejected')
      assert.ok(history.some((entry) => /retailer/.test(entry.note ?? '')), 'the comment stands in the history')
      const list = page.getByRole('region', { name: 'Recommendations', exact: true })
      await page.locator(`.inbox-card[data-id="${id}"]`).waitFor({ state: 'detached' })
      assert.ok((await list.getByRole('button').count()) > 0)
    },
  },
  {
    name: 'a recommendation is snoozed until a date',
    async run({ page, ask, waitForInbox }) {
      await openInbox(page, waitForInbox)
      const id = await next(page)
      await page.keyboard.press('s')
      const dialog = page.getByRole('dialog', { name: 'Snooze until' })
      await dialog.getByRole('button', { name: 'Snooze', exact: true }).click()
      await page.getByText('Snoozed', { exact: true }).first().waitFor()
      const { recommendation } = await ask(page, `/recommendations/${id}`)
      assert.equal(recommendation.state, 'snoozed')
      assert.match(recommendation.snoozed_until, /^\d{4}-\d{2}-\d{2}$/)
    },
  },
  {
    name: 'somebody else was faster: the conflict is shown and nothing is done twice',
    allow: [/status of 4(09|12)/, /events/],
    async run({ page, context, ask, openPage, waitForInbox }) {
      await page.route('**/api/v1/events', (route) => route.abort())
      await openInbox(page, waitForInbox)
      const id = await next(page)
      // Looking at it moves it to review, with a new version; from here on only the colleague moves it.
      await detail(page).getByText('In review', { exact: true }).first().waitFor()
      const colleague = await openPage(context)
      await colleague.goto(`/recommendations?selected=${id}`)
      await detail(colleague).getByRole('button', { name: /Snooze/ }).waitFor()
      await colleague.keyboard.press('s')
      await colleague.getByRole('dialog').getByRole('button', { name: 'Snooze', exact: true }).click()
      await colleague.getByText('Snoozed', { exact: true }).first().waitFor()
      await page.bringToFront()
      await page.keyboard.press('a')
      await page.getByRole('alert').getByText('Nothing was done.').waitFor()
      assert.equal((await ask(page, `/recommendations/${id}`)).recommendation.state, 'snoozed')
      await page.getByRole('button', { name: 'Reload and look again' }).click()
      await detail(page).getByText('Snoozed', { exact: true }).first().waitFor()
      assert.deepEqual(colleague.faults, [])
    },
  },
  {
    name: 'the keys are explained and evidence opens to where it comes from',
    async run({ page, accessibility, waitForInbox }) {
      await openInbox(page, waitForInbox, 1)
      await page.keyboard.press('?')
      await page.getByRole('dialog', { name: 'Keys in the inbox' }).waitFor()
      assert.deepEqual(await accessibility(page), [])
      await page.keyboard.press('Escape')
      await detail(page).locator('.evidence button').first().click()
      await detail(page).getByText('Data digest').first().waitFor()
      await detail(page).getByText('Seed').first().waitFor()
    },
  },
  {
    name: 'on a phone the inbox goes from list to detail and back',
    viewport: { width: 360, height: 740 },
    async run({ page, accessibility, overflow, screenshot, waitForInbox }) {
      await page.goto('/recommendations')
      await waitForInbox(page, 1)
      await page.reload()
      await page.locator('.inbox-card').first().click()
      await detail(page).getByRole('button', { name: 'Back to the list' }).waitFor()
      assert.equal(await page.locator('.inbox-card').count(), 0)
      assert.equal(await overflow(page), 0)
      assert.deepEqual(await accessibility(page), [])
      await screenshot(page, 'inbox-detail-phone')
      await detail(page).getByRole('button', { name: 'Back to the list' }).click()
      await page.locator('.inbox-card').first().waitFor()
    },
  },
]
