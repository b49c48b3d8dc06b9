// Runs every journey against the real binary in a real browser: `npm run e2e [-- name]`.
import { readdirSync } from 'node:fs'

import { accessibility, ask, drawn, launch, openPage, overflow, screenshot, waitForInbox } from './browser.mjs'
import { startServer } from './server.mjs'

const only = process.argv[2]
const folder = new URL('journeys/', import.meta.url)
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.mjs'))
  .toSorted()

let passed = 0
let failed = 0
const server = await startServer()
const browser = await launch()
const state = { storage: undefined }

try {
  for (const file of files) {
    const { default: journeys } = await import(new URL(file, folder))
    for (const journey of journeys) {
      // Without motion a dialog is either there or not: nothing is judged, or clicked, while it fades in.
      const { name, run, always = false, viewport = { width: 1440, height: 900 }, allow = [], colorScheme = 'light', reducedMotion = 'reduce' } = journey
      if (only && !always && !name.includes(only)) continue
      const began = Date.now()
      const context = await browser.newContext({ baseURL: server.origin, viewport, colorScheme, reducedMotion, storageState: state.storage })
      const page = await openPage(context, { allow })
      try {
        await run({ page, context, server, state, accessibility, ask, drawn, openPage, overflow, screenshot, waitForInbox })
        if (page.faults.length > 0) throw new Error(page.faults.join('\n'))
        passed += 1
        console.log(`ok      ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`)
      } catch (error) {
        failed += 1
        console.log(`FAILED  ${name}\n        ${String(error?.stack ?? error).replaceAll('\n', '\n        ')}`)
        await screenshot(page, `failed-${passed + failed}`).catch(() => {})
      } finally {
        await context.close()
      }
    }
  }
} finally {
  await browser.close()
  await server.stop()
}
if (failed > 0) console.log(`\nThe server's last words:\n${server.log().slice(-3000)}`)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
