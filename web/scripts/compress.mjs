// Writes a .gz and a .br beside every text file of the build, so that the server never compresses at run time.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const root = new URL('../dist/', import.meta.url).pathname
const text = /\.(html|js|css|svg|json|map|txt|webmanifest)$/

function* files(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) yield* files(path)
    else yield path
  }
}

let count = 0
for (const path of files(root)) {
  // index.html carries a nonce that changes with every response, so it cannot be compressed ahead.
  if (!text.test(path) || path.endsWith('index.html')) continue
  const body = readFileSync(path)
  if (body.length < 512) continue
  writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }))
  writeFileSync(
    `${path}.br`,
    brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length } }),
  )
  count += 1
}
console.log(`${count} files compressed ahead (.gz and .br)`)
