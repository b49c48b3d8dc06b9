// Generates src/api/schema.ts from the committed contract. `--check` only compares, and fails when it is out of date.
//
// Two habits of the contract's writer are put straight first, because the type generator reads them wrongly:
// a reference with a description beside it is written as `allOf: [ref, {description}]`, and two variants of a union
// that carry the same fields share one schema, which then names only one of their discriminator values.
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

/** `#/components/schemas/Brand` → `Brand`. */
function name(reference) {
  return reference.slice(reference.lastIndexOf('/') + 1)
}

function distinctVariants(document) {
  const { schemas } = document.components
  const replaced = new Set()
  for (const [union, schema] of Object.entries(schemas)) {
    const mapping = schema.discriminator?.mapping
    if (!mapping) continue
    const property = schema.discriminator.propertyName
    const variants = Object.entries(mapping).map(([value, reference]) => {
      const fields = schemas[name(reference)].allOf.find((part) => part.$ref)
      const variant = `${union}_${value}`
      schemas[variant] = {
        allOf: [{ type: 'object', required: [property], properties: { [property]: { type: 'string', enum: [value] } } }, fields],
      }
      replaced.add(name(reference))
      return { $ref: `#/components/schemas/${variant}` }
    })
    schemas[union] = { description: schema.description, oneOf: variants }
  }
  for (const old of replaced) delete schemas[old]
  return document
}

const document = distinctVariants(plainReferences(JSON.parse(readFileSync(contract, 'utf8'))))
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
