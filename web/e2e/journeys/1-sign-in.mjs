import assert from 'node:assert/strict'

export default [
  {
    name: 'the one-time link signs in, leaves no token in the address, and works once',
    always: true,
    async run({ page, context, server, state, openPage }) {
      await page.goto(server.link)
      await page.getByRole('heading', { level: 1, name: 'Portfolio overview' }).waitFor()
      assert.equal(page.url(), `${server.origin}/`)
      state.storage = await context.storageState()

      const stranger = await context.browser().newContext()
      const second = await openPage(stranger, { allow: [/status of 40[0-9]/] })
      await second.goto(server.link)
      await second.getByRole('heading', { name: /does not work/ }).waitFor()
      assert.deepEqual(second.faults, [])
      await stranger.close()
    },
  },
  {
    name: 'a signed-out person is led to the sign-in page and told what is wrong',
    allow: [/status of 40[0-9]/],
    async run({ page, context, accessibility, screenshot }) {
      await context.clearCookies()
      await page.goto('/plans')
      await page.getByRole('heading', { name: 'Sign in to Digi-Cadence' }).waitFor()
      assert.match(page.url(), /next=/)
      assert.deepEqual(await accessibility(page), [])
      await screenshot(page, 'sign-in-light')
      await page.getByLabel('Email').fill('nobody@example.org')
      await page.getByRole('textbox', { name: /^Password/ }).fill('not the password')
      await page.keyboard.press('Enter')
      await page.getByRole('alert').waitFor()
    },
  },
]
