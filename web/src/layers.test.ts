/** Which folder may import which: pages compose features, features never import each other. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, it } from 'vitest'

const src = dirname(fileURLToPath(import.meta.url))

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? files(path) : /\.tsx?$/.test(name) && !name.includes('.test.') ? [path] : []
  })
}

/** `features/plans/X.tsx` → `features/plans`; `lib/format.ts` → `lib`. */
function layer(path: string): string {
  const parts = relative(src, path).split('/')
  return parts[0] === 'features' ? parts.slice(0, 2).join('/') : parts.length > 1 ? (parts[0] ?? '') : 'app'
}

const allowed = (from: string, to: string): boolean => {
  if (from === to || from === 'app') return true
  if (from === 'pages' || from === 'shell') return to !== 'app'
  if (from.startsWith('features/')) return ['api', 'lib', 'ui', 'charts'].includes(to)
  if (from === 'charts') return ['api', 'lib', 'ui'].includes(to)
  if (from === 'ui') return ['api', 'lib'].includes(to)
  if (from === 'api') return to === 'lib'
  return from === 'lib' && to === 'api'
}

it('imports follow the layers', () => {
  const broken: string[] = []
  for (const file of files(src)) {
    for (const match of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)) {
      const target = resolve(dirname(file), match[1] ?? '')
      const [from, to] = [layer(file), layer(`${target}.ts`)]
      if (!allowed(from, to)) broken.push(`${relative(src, file)} imports ${match[1]}`)
    }
  }
  expect(broken).toEqual([])
})
