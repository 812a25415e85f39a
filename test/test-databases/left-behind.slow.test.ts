// Whatever a borrower leaves behind, the next one gets a database that equals a new one.
import pg from 'pg'
import { test } from 'tap'
import { compareSnapshots, type Snapshot, takeSnapshot } from '../reset/snapshot.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'
import { LEFT_BEHIND } from './left-behind.ts'
import { type Lent, runIn, startLending } from './lending.ts'

/** All that a snapshot of the schemas does not have, as text; it shares no query with the code under test. */
const BESIDE = `
  select concat_ws(E'\\n',
    (select string_agg(concat_ws(' ', classoid::regclass, objoid, objsubid, description), E'\\n'
                       order by classoid, objoid, objsubid) from pg_description where objoid >= 16384),
    (select string_agg(concat_ws(' ', proname, proacl, proowner), E'\\n' order by oid)
       from pg_proc where pronamespace::regnamespace::text !~ '^pg_temp'),
    (select string_agg(concat_ws(' ', relname, relacl, reloptions), E'\\n' order by oid)
       from pg_class where relpersistence <> 't'),
    (select string_agg(concat_ws(' ', attrelid, attname, attacl, attstattarget, attisdropped), E'\\n'
                       order by attrelid, attnum) from pg_attribute where attrelid >= 16384 and attnum > 0),
    (select string_agg(concat_ws(' ', nspname, nspacl, nspowner), E'\\n' order by nspname)
       from pg_namespace where nspname !~ '^pg_(toast_)?temp_'),
    (select count(*) from pg_default_acl), (select count(*) from pg_largeobject_metadata),
    (select count(*) from pg_publication), (select count(*) from pg_statistic_ext),
    (select count(*) from pg_ts_config), (select count(*) from pg_cast),
    (select count(*) from pg_collation), (select count(*) from pg_foreign_server),
    (select count(*) from pg_event_trigger), (select string_agg(extname, ' ') from pg_extension),
    (select concat_ws(' ', datdba, datacl, datconnlimit, datistemplate, datallowconn,
                      shobj_description(oid, 'pg_database'))
       from pg_database where datname = current_database()),
    (select count(*) from pg_db_role_setting join pg_database on pg_database.oid = setdatabase
      where datname = current_database()),
    (select count(*) from pg_subscription join pg_database on pg_database.oid = subdbid
      where datname = current_database()),
    (select string_agg(content, E'\\n' order by name, position) from provisioning.baseline_row),
    (select string_agg(hash, ' ' order by hash) from graphile_migrate.migrations),
    (select count(*) from pg_stat_activity where datname = current_database()
       and application_name not like 'commandbus-db%' and pid <> pg_backend_pid()),
    (select count(*) from pg_prepared_xacts where database = current_database()))`

interface Content {
  readonly snapshot: Snapshot
  readonly beside: string
}

async function read({ url }: Lent): Promise<Content> {
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  try {
    const snapshot = await takeSnapshot(pool)
    const { rows } = await pool.query({ text: BESIDE, rowMode: 'array' })
    return { snapshot, beside: String(rows[0]) }
  } finally {
    await pool.end()
  }
}

test('the next borrower gets a new database, whatever was left behind', async (t) => {
  const db = await createTestDatabase(t, { from: 'migrated' })
  // Only one, so that the next borrower gets what the last one has returned.
  const service = await startLending(t, { DATABASE_URL: db.url, TEST_DATABASES_MAX: '1' })
  const first = await service.lend()
  const expected = await read(first)
  await service.giveBack(first)

  /** Its state in the table, or `dropped`. */
  const stateOf = async (name: string): Promise<string> => {
    const { rows } = await db.pool.query<{ state: string }>(
      'select state from provisioning.test_database where name = $1',
      [name],
    )
    return rows[0]?.state ?? 'dropped'
  }

  const countReady = async (): Promise<number> => {
    const { rows } = await db.pool.query(
      `select count(*)::int as count from provisioning.test_database
        where state = 'ready' and not is_template`,
    )
    return rows[0].count
  }

  for (const { what, sql, isKept } of LEFT_BEHIND) {
    const lent = await service.lend({ label: what })
    await runIn(lent.url, ...sql)
    // Otherwise it might be ready after the one that is cleaned, and be lent first.
    await until(`${what}: the spare one is ready`, async () => (await countReady()) > 0)
    await service.giveBack(lent)
    await until(`${what}: cleaned or dropped`, async () =>
      ['ready', 'dropped'].includes(await stateOf(lent.name)),
    )
    t.equal(await stateOf(lent.name), isKept ? 'ready' : 'dropped', what)
    // The one that was cleaned last is lent first.
    const next = await service.lend({ label: `after ${what}` })
    if (isKept) t.equal(next.name, lent.name, `${what}: the same one is lent again`)
    const found = await read(next)
    t.strictSame(compareSnapshots(expected.snapshot, found.snapshot), [], `${what}: rows, objects`)
    t.equal(found.beside, expected.beside, `${what}: all the rest`)
    await service.giveBack(next)
    await until(`${what}: clean`, async () => (await stateOf(next.name)) === 'ready')
  }
  const { rows } = await db.pool.query<{ names: string[] }>(
    `select array_agg(datname::text) as names from pg_database where datname like $1`,
    [`${db.name}_test_%`],
  )
  t.ok((rows[0]?.names.length ?? 0) <= 2, 'what was not lent again is gone')
})
