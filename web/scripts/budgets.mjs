// Holds the size budgets of the build, in gzip kB: what the first page loads, the chart chunk, and every other chunk.
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const dist = new URL('../dist/', import.meta.url)
const size = (file) => gzipSync(readFileSync(new URL(file, dist))).length / 1000
const html = readFileSync(new URL('index.html', dist), 'utf8')
const initial = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1])
const sum = (extension) =>
  initial.filter((file) => file.endsWith(extension)).reduce((total, file) => total + size(file), 0)

const lines = [
  ['first page, JavaScript', sum('.js'), 220],
  ['first page, CSS', sum('.css'), 45],
]
for (const file of readdirSync(new URL('assets/', dist))) {
  if (!file.endsWith('.js') || initial.includes(`assets/${file}`)) continue
  const kilobytes = size(`assets/${file}`)
  if (file.startsWith('engine-')) lines.push([`charts (${file})`, kilobytes, 230])
  else if (kilobytes > 60) lines.push([file, kilobytes, 60])
}
let over = 0
for (const [what, kilobytes, budget] of lines) {
  const broken = kilobytes > budget
  if (broken) over += 1
  console.log(`${broken ? 'OVER ' : 'ok   '} ${kilobytes.toFixed(1).padStart(6)} of ${budget} kB  ${what}`)
}
process.exit(over > 0 ? 1 : 0)
