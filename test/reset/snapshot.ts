import type { Pool } from 'pg'

/** Everything in a database that a reset could get wrong: a text for each row set, sequence and object. */
export type Snapshot = Readonly<Record<string, string>>

/** The reset's own schema is not part of a snapshot. */
const IS_COMPARED = `nspname !~ '^pg_' and nspname not in ('information_schema', 'provisioning')`

/**
 * Reads every row, every sequence and the catalogue, as a superuser, from whom no row is hidden. It shares
 * no query with the code under test, and compares the rows themselves where that compares their versions.
 */
export async function takeSnapshot(pool: Pool): Promise<Snapshot> {
  const parts = await Promise.all([
    readRows(pool),
    readSequences(pool),
    readCatalog(pool, 'relation', RELATIONS),
    readCatalog(pool, 'column', COLUMNS),
    readCatalog(pool, 'constraint', CONSTRAINTS),
    readCatalog(pool, 'trigger', TRIGGERS),
    readCatalog(pool, 'rule', RULES),
    readCatalog(pool, 'function', FUNCTIONS),
  ])
  return Object.fromEntries(parts.flat())
}

/** The differences, one readable line each. */
export function compareSnapshots(expected: Snapshot, found: Snapshot): string[] {
  const names = new Set([...Object.keys(expected), ...Object.keys(found)])
  return [...names]
    .filter((name) => expected[name] !== found[name])
    .map((name) => `${name}: ${expected[name]} became ${found[name]}`)
}

type Entries = [string, string][]

async function readRows(pool: Pool): Promise<Entries> {
  const { rows } = await pool.query<{ name: string; source: string }>(
    `select pg_class.oid::regclass::text as name,
            case relkind when 'p' then '' else 'only ' end || pg_class.oid::regclass as source
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where ${IS_COMPARED} and relkind in ('r', 'p')
      union all
     select pg_class.oid::regclass::text, pg_class.oid::regclass::text
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where ${IS_COMPARED} and relkind = 'm' and relispopulated`,
  )
  if (rows.length === 0) return []
  const selects = rows.map(
    ({ name, source }) =>
      `select 'rows of ' || '${name.replaceAll("'", "''")}' as name,
              coalesce(string_agg((whole_row.*)::text, ' | ' order by (whole_row.*)::text collate "C"), '') as content
         from ${source} as whole_row`,
  )
  return readPairs(pool, selects.join(' union all '))
}

async function readSequences(pool: Pool): Promise<Entries> {
  const { rows } = await pool.query<{ name: string }>(
    `select pg_class.oid::regclass::text as name
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where ${IS_COMPARED} and relkind = 'S'`,
  )
  if (rows.length === 0) return []
  const selects = rows.map(
    ({ name }) =>
      `select 'sequence ${name.replaceAll("'", "''")}' as name,
              last_value || ' ' || is_called as content from ${name}`,
  )
  return readPairs(pool, selects.join(' union all '))
}

async function readCatalog(pool: Pool, kind: string, sql: string): Promise<Entries> {
  const entries = await readPairs(pool, sql)
  return entries.map(([name, content]) => [`${kind} ${name}`, content])
}

async function readPairs(pool: Pool, sql: string): Promise<Entries> {
  const { rows } = await pool.query<{ name: string; content: string }>(sql)
  return rows.map(({ name, content }) => [name, content])
}

const RELATIONS = `
  select pg_class.oid::regclass::text as name,
         concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity,
                   relispopulated, relowner::regrole, relacl::text) as content
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace where ${IS_COMPARED}`

const COLUMNS = `
  select format('%s.%s', table_schema, table_name) || '.' || column_name as name,
         concat_ws(' ', ordinal_position, data_type, is_nullable, column_default, is_identity,
                   is_generated) as content
    from information_schema.columns
    join pg_namespace on nspname = table_schema where ${IS_COMPARED}`

const CONSTRAINTS = `
  select format('%s on %s', conname, conrelid::regclass) as name,
         pg_get_constraintdef(pg_constraint.oid) || convalidated as content
    from pg_constraint join pg_namespace on pg_namespace.oid = connamespace
   where ${IS_COMPARED} and conrelid <> 0`

const TRIGGERS = `
  select format('%s on %s', tgname, tgrelid::regclass) as name,
         pg_get_triggerdef(pg_trigger.oid) || tgenabled::text as content
    from pg_trigger
    join pg_class on pg_class.oid = tgrelid
    join pg_namespace on pg_namespace.oid = relnamespace
   where ${IS_COMPARED} and not tgisinternal`

const RULES = `
  select format('%s on %s', rulename, ev_class::regclass) as name,
         pg_get_ruledef(pg_rewrite.oid) || ev_enabled::text as content
    from pg_rewrite
    join pg_class on pg_class.oid = ev_class
    join pg_namespace on pg_namespace.oid = relnamespace
   where ${IS_COMPARED}`

const FUNCTIONS = `
  select pg_proc.oid::regprocedure::text as name, md5(prosrc) || coalesce(proacl::text, '') as content
    from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
   where ${IS_COMPARED}`
