// Generates src/api/schema.ts from the committed contract. `--check` only compares, and fails when it is out of date.
//
// The contract's writer puts a reference with a description beside it as `allOf: [ref, {description}]`, which the type
// generator reads as another type; such a reference is made plain first.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript'

const contract = new URL('../../api/openapi.json', import.meta.url)
const target = fileURLToPath(new URL('../src/api/schema.ts', import.meta.url))

function plainReferences(value) {
  if (Array.isArray(value)) return value.map(plainReferences)
  if (value === null || typeof value !== 'object') return value
  const { allOf, ...rest } = value
  if (Array.isArray(allOf) && Object.keys(rest).every((key) => key === 'description' || key === 'title')) {
    const references = allOf.filter((part) => part.$ref)
    const others = allOf.filter((part) => !part.$ref)
    if (references.length === 1 && others.every((part) => Object.keys(part).every((key) => key === 'description' || key === 'title'))) {
      return { $ref: references[0].$ref }
    }
  }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plainReferences(part)]))
}

const document = plainReferences(JSON.parse(readFileSync(contract, 'utf8')))
const fresh = COMMENT_HEADER + astToString(await openapiTS(document))

if (!process.argv.includes('--check')) {
  writeFileSync(target, fresh)
  console.log('src/api/schema.ts written')
} else if (readFileSync(target, 'utf8') === fresh) {
  console.log('src/api/schema.ts matches api/openapi.json')
} else {
  console.error('src/api/schema.ts is out of date: run `npm run schema` and commit it')
  process.exitCode = 1
}
