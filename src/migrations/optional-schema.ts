import type { Queryable } from '../postgres/client.ts'
import { includesText } from './files/body.ts'
import { readCommittedMigrations } from './files/committed.ts'
import { type MigrationStatus, readAppliedMigrations } from './history.ts'

/** The one schema that a deployment may leave out. */
export interface OptionalSchema {
  readonly name: string
  /** The placeholder in the migrations that `on` or `off` replaces. */
  readonly placeholder: string
  /** The environment variable. */
  readonly setting: string
  /** A database that has this schema before the first migration is adopted. */
  readonly adoptedSchema: string
  /** The variable's value; undefined keeps what an adopted database has, and is `on` in a new one. */
  readonly wanted: OnOrOff | undefined
}

type OnOrOff = 'on' | 'off'

/** Whether the migrations create the optional schema. */
export interface OptionalSchemaChoice {
  readonly value: OnOrOff
  /** Set when the setting differs from what the database has: a sentence for the log. */
  readonly ignored: string | undefined
}

/**
 * The choice is made once, by the migration that holds the placeholder. Before that migration the
 * setting counts; after it, what the database has.
 */
export async function chooseOptionalSchema(
  client: Queryable,
  { committed, applied }: Pick<MigrationStatus, 'committed' | 'applied'>,
  { name, placeholder, setting, adoptedSchema, wanted }: OptionalSchema,
): Promise<OptionalSchemaChoice> {
  const isDecided = await includesText(committed.slice(0, applied.length), placeholder)
  if (!isDecided) {
    const isKept =
      wanted === undefined && (await isAdopted(client, adoptedSchema, applied.length > 0))
    const value = isKept && !(await schemaExists(client, name)) ? 'off' : (wanted ?? 'on')
    return { value, ignored: undefined }
  }

  const value = (await schemaExists(client, name)) ? 'on' : 'off'
  if (wanted === undefined || wanted === value) return { value, ignored: undefined }
  const has = value === 'on' ? 'has' : 'does not have'
  return {
    value,
    ignored: `${setting}=${wanted} is ignored: the database ${has} the schema ${name}, which was decided when it was migrated`,
  }
}

/** Whether a migrated database has the optional schema; undefined for a database without migrations. */
export async function findOptionalSchema(
  client: Queryable,
  migrationsDir: string,
  schema: OptionalSchema,
): Promise<OnOrOff | undefined> {
  const applied = await readAppliedMigrations(client)
  if (applied.length === 0) return undefined
  const committed = await readCommittedMigrations(migrationsDir)
  const choice = await chooseOptionalSchema(client, { committed, applied }, schema)
  return choice.value
}

async function schemaExists(client: Queryable, name: string): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>(
    'select pg_catalog.to_regnamespace($1) is not null as exists',
    [name],
  )
  return rows[0]?.exists === true
}

/**
 * Between two migrations the schema exists in any database. It is older than the history, and so has
 * the smaller oid, only if the first migration adopted it.
 */
async function isAdopted(client: Queryable, schema: string, hasHistory: boolean): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    `select exists (
       select from pg_catalog.pg_namespace as adopted
        where adopted.nspname = $1
          and (not $2 or adopted.oid < (select oid from pg_catalog.pg_namespace
                                         where nspname = 'graphile_migrate'))
     ) as found`,
    [schema, hasHistory],
  )
  return rows[0]?.found === true
}
