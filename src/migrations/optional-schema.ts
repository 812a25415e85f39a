import type { ClientBase } from 'pg'
import { type Config, OPTIONAL_SCHEMA } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { type CommittedMigration, readCommittedMigrations } from './files/committed.ts'
import { type AppliedMigration, readAppliedMigrations } from './history.ts'

/** Whether the migrations make the schema that a deployment may leave out. */
export interface OptionalSchemaChoice {
  readonly value: 'on' | 'off'
  /** Set where the setting asks for something else than the database has. */
  readonly ignored: string | undefined
}

/**
 * It is decided once, by the migration that holds the placeholder: until that has run the setting
 * counts (`on` where it is not set), afterwards what the database has.
 */
export async function chooseOptionalSchema(
  client: Pick<ClientBase, 'query'>,
  {
    committed,
    applied,
  }: {
    readonly committed: readonly CommittedMigration[]
    readonly applied: readonly AppliedMigration[]
  },
  asked: Config['optionalSchema'],
): Promise<OptionalSchemaChoice> {
  const { name, placeholder, setting } = OPTIONAL_SCHEMA
  const isDecided = committed
    .slice(0, applied.length)
    .some(({ body }) => body.includes(placeholder))
  if (!isDecided) return { value: asked ?? 'on', ignored: undefined }

  const { rows } = await client.query<{ found: boolean }>(
    'select pg_catalog.to_regnamespace($1) is not null as found',
    [name],
  )
  const value = rows[0]?.found ? 'on' : 'off'
  if (asked === undefined || asked === value) return { value, ignored: undefined }
  const has = value === 'on' ? 'has' : 'does not have'
  return {
    value,
    ignored: `${setting}=${asked} is not heeded: the database ${has} the schema ${name}, which was decided when it was migrated`,
  }
}

/** What a database that has been migrated has of it; undefined for a new one. */
export async function findOptionalSchema(
  { pool }: Pick<Database, 'pool'>,
  { migrationsDir }: Pick<Config, 'migrationsDir'>,
): Promise<Config['optionalSchema']> {
  const applied = await readAppliedMigrations(pool)
  if (applied.length === 0) return undefined
  const committed = readCommittedMigrations(migrationsDir)
  return (await chooseOptionalSchema(pool, { committed, applied }, undefined)).value
}
