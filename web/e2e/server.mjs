// Starts the real binary on an empty folder and waits for the one-time link it prints.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** How long an unoptimised build may take to import, analyse and propose, in milliseconds. */
const START = 300_000

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

export async function startServer() {
  const binary = process.env.DIGI_CADENCE_BIN ?? fileURLToPath(new URL('../../target/debug/digi-cadence', import.meta.url))
  if (!existsSync(binary)) throw new Error(`there is no binary at ${binary}: build it, or name one in DIGI_CADENCE_BIN`)
  const folder = mkdtempSync(join(tmpdir(), 'digi-cadence-e2e-'))
  const port = await freePort()
  const child = spawn(binary, ['demo', '--dir', folder, '--listen', `127.0.0.1:${port}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // The binary refuses settings it does not know, and the tests must not stop once the inbox is filled.
    env: { ...process.env, DIGI_CADENCE_BIN: undefined, DEMO_ONCE: undefined },
  })
  let log = ''
  const link = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${why}\n${log.slice(-4000)}`))
    const timer = setTimeout(() => fail(`the server printed no link within ${START / 1000} s`), START)
    const read = (chunk) => {
      log += chunk
      const found = /http:\/\/127\.0\.0\.1:\d+\/link#[\w.~-]+/.exec(log)
      if (found) {
        clearTimeout(timer)
        resolve(found[0])
      }
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => fail(`the server ended with code ${code}`))
  })
  return {
    link,
    origin: new URL(link).origin,
    log: () => log,
    async stop() {
      const gone = new Promise((resolve) => {
        if (child.exitCode !== null) resolve()
        else child.once('exit', resolve)
      })
      child.removeAllListeners('exit')
      child.once('exit', () => {})
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 16_000))])
      clearTimeout(timer)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
