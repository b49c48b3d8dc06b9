// The browser, and what is checked on every page: no console error, no policy violation, no serious axe finding.
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { chromium } from 'playwright-core'

const AXE = readFileSync(fileURLToPath(new URL('../node_modules/axe-core/axe.min.js', import.meta.url)), 'utf8')
const SHOTS = fileURLToPath(new URL('screenshots/', import.meta.url))

export async function launch() {
  const known = ['chromium', 'chromium-browser', 'google-chrome'].map((name) => `/usr/bin/${name}`)
  const executablePath = process.env.CHROMIUM_BIN ?? known.find((path) => existsSync(path))
  if (!executablePath) throw new Error('there is no Chromium: run e2e/install.sh, or name one in CHROMIUM_BIN')
  mkdirSync(SHOTS, { recursive: true })
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
      '--no-first-run',
    ],
  })
}

/** A page that remembers everything that went wrong on it. `allow` names refusals a journey provokes on purpose. */
export async function openPage(context, { allow = [] } = {}) {
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const faults = []
  const note = (text) => {
    if (!allow.some((pattern) => pattern.test(text))) faults.push(text)
  }
  page.on('console', (message) => {
    if (message.type() === 'error' || /Content Security Policy/i.test(message.text())) note(`console: ${message.text()} (${message.location().url})`)
  })
  page.on('pageerror', (error) => note(`error on the page: ${error.message}`))
  await page.exposeFunction('reportViolation', (text) => note(`policy violation: ${text}`))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`)
    })
  })
  page.faults = faults
  return page
}

/** Serious and critical findings of axe on the page as it stands. */
export async function accessibility(page) {
  await page.evaluate(`${AXE};0`)
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] })
    return violations
      .filter((violation) => violation.impact === 'serious' || violation.impact === 'critical')
      .map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html.slice(0, 160)).slice(0, 3).join(' | ')}`)
  })
  return found
}

export async function screenshot(page, name, fullPage = true) {
  await page.screenshot({ path: `${SHOTS}${name}.png`, fullPage })
}

/** Waits until nothing on the page loads any more and its drawings are there, at least so many of them. */
export async function drawn(page, least = 1) {
  await page.waitForFunction((count) => {
    const charts = [...document.querySelectorAll('.chart-canvas')]
    const isLoading = document.querySelector('[role="status"][aria-label="Loading"]') !== null
    return !isLoading && charts.length >= count && charts.every((chart) => chart.dataset.ready === 'true')
  }, least)
}

/** Whether the page is wider than the window. */
export async function overflow(page) {
  return page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - globalThis.innerWidth))
}

/** Asks the API with the session of the page. */
export async function ask(page, path) {
  return page.evaluate(async (to) => {
    const response = await fetch(`/api/v1${to}`)
    if (!response.ok) throw new Error(`${to} answered ${response.status}`)
    return response.json()
  }, path)
}

/** The inbox once it holds at least `least` open recommendations; agents may still be at work. */
export async function waitForInbox(page, least, timeout = 240_000) {
  const end = Date.now() + timeout
  for (;;) {
    const { data } = await ask(page, '/recommendations?state=open&limit=200')
    if (data.length >= least) return data
    if (Date.now() > end) throw new Error(`only ${data.length} open recommendations after ${timeout / 1000} s, ${least} expected`)
    await page.waitForTimeout(1000)
  }
}
