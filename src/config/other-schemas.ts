import type { SettingsReader } from './env.ts'

/** Schemas that other tools made. */
export interface OtherSchemasSetting {
  /** A reset neither compares nor touches them. */
  readonly ignored: readonly string[]
  /** A reset empties them, and does not compare them. */
  readonly emptied: readonly string[]
}

const IGNORE = 'RESET_IGNORE_SCHEMAS'
const EMPTY = 'RESET_EMPTY_SCHEMAS'

/** Reads which schemas other tools made. What belongs to the migrations is known only in the database. */
export function readOtherSchemas(read: SettingsReader): OtherSchemasSetting {
  const ignored = read.identifiers(IGNORE)
  const emptied = read.identifiers(EMPTY)
  for (const [setting, names] of [
    [IGNORE, ignored],
    [EMPTY, emptied],
  ] as const) {
    const own = names.find((name) => ownerOf(name) !== undefined)
    if (own === undefined) continue
    read.reject(setting, JSON.stringify(own), `schemas of other tools, and this is ${ownerOf(own)}`)
  }
  const both = ignored.find((name) => emptied.includes(name))
  if (both !== undefined) {
    read.reject(
      EMPTY,
      `${JSON.stringify(both)}, which is also in ${IGNORE}`,
      'each schema in one of the two',
    )
  }
  return Object.freeze({ ignored: Object.freeze(ignored), emptied: Object.freeze(emptied) })
}

function ownerOf(schema: string): string | undefined {
  if (/^pg_|^information_schema$/.test(schema)) return "PostgreSQL's own"
  if (schema === 'provisioning') return "the service's own"
  if (schema === 'graphile_migrate') return "the migration tool's"
  return schema === 'pgmq' ? "PGMQ's, whose queues a reset restores" : undefined
}
