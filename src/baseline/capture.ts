import {
  OBJECTS_FINGERPRINT_SQL,
  PARTS_FINGERPRINT_SQL,
  rowsFingerprintSql,
} from '../catalog/fingerprint.ts'
import { objectsSql } from '../catalog/objects.ts'
import { hasPgmq } from '../catalog/queues.ts'
import { NO_OTHER_SCHEMAS, notCompared, type OtherSchemas } from '../catalog/scope.ts'
import {
  listMaterializedViews,
  listSequences,
  listTables,
  sourceOf,
  type Table,
} from '../catalog/tables.ts'
import type { Queryable } from '../postgres/client.ts'
import { isOutOfResources, sqlstateOf } from '../postgres/errors.ts'
import { outOfResourcesError } from '../postgres/out-of-resources.ts'
import { literal } from '../postgres/quote.ts'
import { withCanonicalSettings } from '../postgres/session-settings.ts'
import { SQLSTATE } from '../postgres/sqlstate.ts'
import { isDisposable } from './disposable.ts'
import { LAST_MIGRATION_SQL } from './last-migration.ts'
import { forgetBaseline, STORE_FORMAT } from './store.ts'

/** How long to wait for a client that did not wait until the service was ready. */
const CAPTURE_LOCK_TIMEOUT_MS = 5000

/**
 * Stores the current state of the database as its baseline, in a transaction of its own. Returns false
 * and leaves no baseline if the database is not (or no longer) marked disposable, or if another
 * session's open transaction has already written to it. The schemas of other tools are left out.
 */
export async function captureBaseline(
  client: Queryable,
  others: OtherSchemas = NO_OTHER_SCHEMAS,
): Promise<boolean> {
  try {
    return await withCanonicalSettings(client, () => capture(client, notCompared(others)))
  } catch (error) {
    if (isOutOfResources(error)) {
      throw outOfResourcesError(
        error,
        'while capturing the baseline, after all migrations were applied',
      )
    }
    if (sqlstateOf(error) !== SQLSTATE.lockNotAvailable) throw error
    await forgetBaseline(client)
    return false
  }
}

async function capture(client: Queryable, leftOut: readonly string[]): Promise<boolean> {
  await forgetBaseline(client)
  if (!(await isDisposable(client))) return false
  const tables = await listTables(client, leftOut)
  await client.query(`set local lock_timeout to ${CAPTURE_LOCK_TIMEOUT_MS}`)
  const locked = tables.filter(({ isReadOnly }) => !isReadOnly).map(({ name }) => name)
  if (locked.length > 0) await client.query(`lock table ${locked.join(', ')} in exclusive mode`)
  for (const view of await listMaterializedViews(client, leftOut)) {
    // A reset can only refresh it, so the result of a refresh is the baseline.
    if (view.isPopulated) await client.query(`refresh materialized view ${view.name}`)
    await captureRelation(client, view.name, view.isPopulated ? view.name : undefined)
  }
  for (const table of tables) await captureTable(client, table)
  await captureSequences(client, leftOut)
  await client.query(
    `insert into provisioning.baseline_object (kind, name, definition) ${objectsSql(await hasPgmq(client), { leftOut })}`,
  )
  // Last, because lifting row security has written to the catalogue.
  await client.query(
    `insert into provisioning.baseline
            (format, last_migration, objects_fingerprint, parts_fingerprint, last_attempt)
     select $1, (${LAST_MIGRATION_SQL}), (${OBJECTS_FINGERPRINT_SQL}), (${PARTS_FINGERPRINT_SQL}),
            last_value
       from provisioning.reset_attempt`,
    [STORE_FORMAT],
  )
  return true
}

async function captureTable(client: Queryable, table: Table): Promise<void> {
  const source = sourceOf(table)
  if (table.isRowSecurityActive) {
    await client.query(`alter table ${table.name} no force row level security`)
  }
  const { rowCount } = await client.query(
    `insert into provisioning.baseline_row (name, position, content)
     select $1, row_number() over (), (whole_row.*)::text from ${source} as whole_row`,
    [table.name],
  )
  if (rowCount) await captureRelation(client, table.name, source)
  if (table.isRowSecurityActive) {
    await client.query(`alter table ${table.name} force row level security`)
  }
}

async function captureRelation(
  client: Queryable,
  name: string,
  source: string | undefined,
): Promise<void> {
  await client.query(
    `insert into provisioning.baseline_relation (name, is_populated, rows_fingerprint)
     select $1, $2, ${source ? `(${rowsFingerprintSql(source)})` : 'null'}`,
    [name, source !== undefined],
  )
}

async function captureSequences(client: Queryable, leftOut: readonly string[]): Promise<void> {
  const sequences = await listSequences(client, leftOut)
  if (sequences.length === 0) return
  const values = sequences.map(
    ({ name }) => `select ${literal(name)}, last_value, is_called from ${name}`,
  )
  await client.query(
    `insert into provisioning.baseline_sequence (name, last_value, is_called)
     ${values.join(' union all ')}`,
  )
}
