// Holds the size budgets of the build, in gzip kB: what the first page loads, the chart chunk, and every other chunk.
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const dist = new URL('../dist/', import.meta.url)
const size = (file) => gzipSync(readFileSync(new URL(file, dist))).length / 1000
const html = readFileSync(new URL('index.html', dist), 'utf8')
const linked = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1])

/** A chunk and everything it imports before it can run. */
function closure(files, seen = new Set()) {
  for (const file of files) {
    if (seen.has(file)) continue
    seen.add(file)
    if (!file.endsWith('.js')) continue
    const source = readFileSync(new URL(file, dist), 'utf8')
    closure([...source.matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g)].map((match) => `assets/${match[1]}`), seen)
  }
  return seen
}

// The first page is the overview: its route chunk is fetched before anything is seen.
const overview = readdirSync(new URL('assets/', dist)).filter((file) => /^PortfolioPage-.*\.js$/.test(file))
const initial = [...closure([...linked, ...overview.map((file) => `assets/${file}`)])]
const sum = (extension) =>
  initial.filter((file) => file.endsWith(extension)).reduce((total, file) => total + size(file), 0)

const lines = [
  ['first page with its route, JavaScript', sum('.js'), 220],
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
