import type { SchemaObject } from './objects.ts'
import { ownName, writeStatements } from './statements.ts'

/** Files by their path, from the project's folder. */
export type Files = Map<string, string>

const HEADER = '-- Made by npm run db:schema. Change the migrations and fixtures, not this.\n'

/** Kinds that are written with what holds them. */
const PARTS = ['column', 'constraint', 'index', 'trigger', 'rule', 'policy']

/** Writes a file for each object, with its parts, comments and privileges: together they make the schema. */
export function dumpSchema(objects: readonly SchemaObject[]): Files {
  const isPart = ({ kind }: SchemaObject) => PARTS.includes(kind)
  const files: Files = new Map()
  for (const object of objects.filter((one) => !isPart(one))) {
    const parts = objects.filter((one) => isPart(one) && one.parent === object.name)
    const statements = writeStatements(object, parts)
    const path = pathOf(object)
    files.set(path, `${files.get(path) ?? `${HEADER}\n`}${statements.join('\n')}\n`)
  }
  return files
}

/** Where an object is written: overloaded functions share a file, and so do the queues. */
export function pathOf(object: SchemaObject): string {
  const { kind, schema } = object
  if (kind === 'schema') return `schema/${schema}/schema.sql`
  if (schema === null) return `schema/${kind}s.sql`
  return `schema/${schema}/${kind}s/${plainName(object)}.sql`
}

/** The name without its schema, its arguments and quotes. */
export function plainName(object: SchemaObject): string {
  return ownName(object)
    .replace(/\(.*\)$/s, '')
    .replaceAll('"', '')
}
