import {
  captureObjects,
  OBJECTS_SIGN_SQL,
  PARTS_SIGN_SQL,
  RELATIONS_SQL,
  rowsSignSql,
} from '../catalog/objects.ts'
import {
  hasPgmq,
  listMaterializedViews,
  listTables,
  sourceOf,
  type Table,
} from '../catalog/tables.ts'
import type { Queryable } from '../postgres/client.ts'
import { withResetSettings } from '../postgres/session-settings.ts'
import { LOCK_NOT_AVAILABLE } from '../reset/lock-retry.ts'
import { isDisposable } from './disposable.ts'
import { hasStore, STORE_FORMAT } from './store.ts'

export interface Baseline {
  readonly id: string
}

/** The last migration of the tool's record, by its hash. */
export const LAST_MIGRATION_SQL = `
  select hash from graphile_migrate.migrations order by length(filename) desc, filename desc limit 1`

/** The baseline that counts: of this format, and with no migration applied since by somebody else. */
export async function findBaseline(client: Queryable): Promise<Baseline | undefined> {
  if (!(await hasStore(client))) return undefined
  const { rows: tool } = await client.query<{ there: boolean }>(
    `select to_regclass('graphile_migrate.migrations') is not null as there`,
  )
  if (!tool[0]?.there) return undefined
  const { rows } = await client.query<Baseline>(
    `select baseline_id as id
       from provisioning.baseline
      where format = $1 and last_migration = (${LAST_MIGRATION_SQL})`,
    [STORE_FORMAT],
  )
  return rows[0]
}

/** Whether the migrations made a schema of that name; undefined where there is no baseline to ask. */
export async function baselineHasSchema(
  client: Queryable,
  name: string,
): Promise<boolean | undefined> {
  if ((await findBaseline(client)) === undefined) return undefined
  const { rows } = await client.query<{ found: boolean }>(
    `select exists (select from provisioning.baseline_object
                     where kind = 'schema' and name = quote_ident($1)) as found`,
    [name],
  )
  return rows[0]?.found
}

export async function forgetBaseline(client: Queryable): Promise<void> {
  await client.query(
    `truncate provisioning.baseline, provisioning.baseline_object, provisioning.baseline_relation,
              provisioning.baseline_row, provisioning.baseline_sequence`,
  )
}

/** How long a writer is waited for who has not waited until the service was ready. */
const CAPTURE_LOCK_MS = 5000

/**
 * Takes the database as it is now for what the migrations left; in a transaction of its own. Returns
 * false, and leaves no baseline, where the database has not agreed to be reset (any more), or where
 * somebody's open transaction has written to it already.
 */
export async function captureBaseline(client: Queryable): Promise<boolean> {
  try {
    return await withResetSettings(client, () => capture(client))
  } catch (error) {
    if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error
    await forgetBaseline(client)
    return false
  }
}

async function capture(client: Queryable): Promise<boolean> {
  await forgetBaseline(client)
  if (!(await isDisposable(client))) return false
  const tables = await listTables(client)
  await client.query(`set local lock_timeout to ${CAPTURE_LOCK_MS}`)
  if (tables.length > 0) {
    await client.query(`lock table ${tables.map(({ name }) => name).join(', ')} in exclusive mode`)
  }
  for (const view of await listMaterializedViews(client)) {
    // A refresh is the only way to bring one back, so what it gives is the baseline.
    if (view.isPopulated) await client.query(`refresh materialized view ${view.name}`)
    await captureRelation(client, view.name, view.isPopulated ? view.name : undefined)
  }
  for (const table of tables) await captureTable(client, table)
  await captureSequences(client)
  await captureObjects(client, await hasPgmq(client))
  // Last: lifting row security has written to the catalogue.
  await client.query(
    `insert into provisioning.baseline (format, last_migration, catalog_sign, parts_sign, last_attempt)
     select $1, (${LAST_MIGRATION_SQL}), (${OBJECTS_SIGN_SQL}), (${PARTS_SIGN_SQL}), last_value
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
    `insert into provisioning.baseline_relation (name, is_populated, rows_sign)
     select $1, $2, ${source ? `(${rowsSignSql(source)})` : 'null'}`,
    [name, source !== undefined],
  )
}

async function captureSequences(client: Queryable): Promise<void> {
  const { rows } = await client.query<{ name: string; literal: string }>(
    `with ${RELATIONS_SQL}
     select name, quote_literal(name) as literal from relation where relkind = 'S' order by name`,
  )
  if (rows.length === 0) return
  const values = rows.map(
    ({ name, literal }) => `select ${literal}, last_value, is_called from ${name}`,
  )
  await client.query(
    `insert into provisioning.baseline_sequence (name, last_value, is_called)
     ${values.join(' union all ')}`,
  )
}
