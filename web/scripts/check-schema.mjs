// Fails when src/api/schema.ts is not what the committed contract generates.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'schema-'))
try {
  const fresh = join(folder, 'schema.ts')
  execFileSync(join(here, 'node_modules/.bin/openapi-typescript'), [join(here, '../api/openapi.json'), '-o', fresh], { stdio: 'pipe' })
  if (readFileSync(fresh, 'utf8') !== readFileSync(join(here, 'src/api/schema.ts'), 'utf8')) {
    console.error('src/api/schema.ts is out of date: run `npm run schema` and commit it')
    process.exitCode = 1
  } else {
    console.log('src/api/schema.ts matches api/openapi.json')
  }
} finally {
  rmSync(folder, { recursive: true })
}
