import { test } from 'tap'
import {
  isDisposable,
  markDisposableIfEmpty,
  unmarkDisposable,
} from '../../src/baseline/disposable.ts'
import { ensureStore, findBaseline } from '../../src/baseline/store.ts'
import { startResetting, THINGS } from '../reset/running.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }

/** The store's table as another program might have it: the same columns, and everything that `like` copies. */
const LOOKS_THE_SAME = `
  create schema original;
  create table original.disposable (
    is_only boolean primary key default true check (is_only), system_identifier bigint not null,
    database_oid oid not null, database_name name not null, timeline int not null,
    is_by_service boolean not null, allowed_at timestamptz not null default now());
  create table provisioning.disposable (like original.disposable including all);
  insert into provisioning.disposable
  select true, system_identifier, pg_database.oid, datname, 1, true, now()
    from pg_control_system(), pg_database where datname = current_database()`

/** What another program may have made under the store's names, and what is in it afterwards. */
const FOREIGN: readonly (readonly [what: string, sql: string])[] = [
  ['a table', 'create table provisioning.disposable as select 1 as note'],
  ['a table with the same columns', LOOKS_THE_SAME],
  [
    'a table with a comment of its own',
    `create table provisioning.disposable as select 1 as note;
     comment on table provisioning.disposable is 'Cups and plates.'`,
  ],
  [
    'a view with the comment of the table',
    `create table provisioning.kept as select 1 as note;
     create view provisioning.disposable as select note from provisioning.kept;
     comment on view provisioning.disposable is
       'Its row marks the database disposable, and counts only in the database that it names.'`,
  ],
  [
    'a view that the store has as well',
    'create view provisioning.this_database as select 1 as one',
  ],
  ['a view of the format', 'create view provisioning.store_format as select 4 as format'],
  ['a baseline', 'create table provisioning.baseline as select 1 as note'],
  [
    'a function',
    `create function provisioning.forbid_reset() returns void language sql as 'select 1'`,
  ],
  ['a type', `create type provisioning.baseline_row as enum ('one')`],
  ['a sequence', 'create sequence provisioning.reset_attempt'],
  ['a table that the store does not have', 'create table provisioning.orders as select 1 as note'],
]

for (const [what, sql] of FOREIGN) {
  test(`the schema of another program, with ${what}, is neither read nor touched`, async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query(`create schema provisioning; ${sql}`)
    const before = await dump(pool)

    await unmarkDisposable(pool, log)
    t.equal(await isDisposable(pool), false)
    t.equal(await findBaseline(pool), undefined)
    await t.rejects(ensureStore(pool), {
      code: 'reset_schema_taken',
      statusCode: 409,
      exitCode: 2,
      message: /RESET_ENABLED=false/,
    })

    t.same(await dump(pool), before)
  })
}

test('the store is recognised again, and an object beside it is named', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(pool)
  await markDisposableIfEmpty(pool, true, log)
  await ensureStore(pool)
  t.equal(await isDisposable(pool), true)

  await pool.query('create table provisioning.backup as select from provisioning.disposable')

  const error = await ensureStore(pool).catch((cause) => cause)
  t.match(error, { code: 'reset_schema_taken', extensions: { objects: ['table backup'] } })
  t.equal(await isDisposable(pool), true, 'what the service made is still its own')
})

test('a service starts beside a schema of another program, unless reset is on', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const settings = { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, [THINGS.first]) }
  await pool.query(`create schema provisioning; ${LOOKS_THE_SAME}`)
  const before = await dump(pool)
  for (let start = 1; start <= 2; start++) {
    const service = startService(t, settings)
    await service.waitForReady()
    t.match((await service.get('/status')).body, {
      reset: { allowedHere: false },
    })
    await service.stop()
    t.same(await dump(pool), before)
  }

  const refused = await startResetting(t, settings, { isReady: false })
  t.match(await refused.ended, { code: 2 })
  t.match(refused.output(), /reset_schema_taken.*table disposable/)
  t.same(await dump(pool), before)
})

test('a start that is refused leaves the mark, and one that goes on removes it', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const folder = (...migrations: string[]) => createMigrationsFolder(t, migrations)
  const good = folder(THINGS.first)
  const first = await startResetting(t, { DATABASE_URL: url, MIGRATIONS_DIR: good })
  await first.stop()
  t.equal(await isDisposable(pool), true)

  const other = folder('create table public.others ()')
  const refused = startService(t, { DATABASE_URL: url, MIGRATIONS_DIR: other })
  t.match(await refused.ended, { code: 5 })
  t.equal(await isDisposable(pool), true)

  const stay = { ON_MIGRATION_FAILURE: 'stay' }
  const staying = startService(t, { DATABASE_URL: url, MIGRATIONS_DIR: other, ...stay })
  await staying.waitForReason('history_refused')
  t.ok(await staying.waitForLog('the migrations were refused; staying up, not ready'))
  await staying.stop()
  t.equal(await isDisposable(pool), true)

  const off = startService(t, { DATABASE_URL: url, MIGRATIONS_DIR: good })
  await off.waitForReady()
  t.equal(await isDisposable(pool), false)
})

/** The objects of the schema, with their rows where they have any. */
async function dump(pool: { query(sql: string): Promise<{ rows: unknown[] }> }) {
  const { rows } = await pool.query(
    `select 'relation' as kind, relname as name, relkind::text || obj_description(pg_class.oid, 'pg_class') as about,
            case when relkind in ('r', 'v', 'S')
                 then query_to_xml(format('select * from provisioning.%I', relname), true, false, '')::text
            end as content
       from pg_class where relnamespace = 'provisioning'::regnamespace and relkind not in ('i', 't')
      union all
     select 'function', proname, prosrc, null from pg_proc where pronamespace = 'provisioning'::regnamespace
      union all
     select 'schema', nspname, obj_description(oid, 'pg_namespace'), null
       from pg_namespace where nspname = 'provisioning'
      order by kind, name`,
  )
  return rows
}
