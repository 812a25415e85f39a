import type { Client } from 'pg'
import { test } from 'tap'
import { captureBaseline } from '../../src/baseline/capture.ts'
import { rebuild } from '../../src/reset/rebuild.ts'
import { connect, createResetWorld } from './world.ts'

/** Sorting it needs more than the working memory that the database has below. */
const SORTED = `
  set work_mem = '256MB';
  create materialized view public.sorted as
  select md5(n::text) as hash from generate_series(1, 50000) as n order by 1;
  reset work_mem`

test('a baseline that cannot be captured for want of disk says so, and leaves none', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SORTED })
  await world.pool.query(`alter database ${world.name} set temp_file_limit = '64kB';
                          alter database ${world.name} set work_mem = '64kB'`)
  const client = await connect(world.url)
  t.teardown(() => client.end())

  const error = await captureBaseline(client).catch((cause) => cause)

  t.match(error, { code: 'out_of_resources', statusCode: 503, exitCode: 3 })
  t.match(error.message, /capturing the baseline.*temp_file_limit.*\(53400\)/)
  t.equal((await client.query('select 1')).rowCount, 1, 'the session lives on')
})

test('where one transaction has too few locks, everything is dropped in several', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create schema app; create schema other; create type app.kind as enum ('one');
             do $$
             begin
               for n in 1 .. 700 loop
                 execute format('create table app.t_%s (id int primary key, kind app.kind)', n);
               end loop;
             end
             $$;
             create view other.v as select id from app.t_7;
             create function other.f(kind app.kind) returns int language sql as 'select 1'`,
  })
  const client = limitLocks(await connect(world.resetUrl), 150)
  t.teardown(() => client.end())
  const details: string[] = []

  await rebuild({
    sessions: world.sessions,
    database: world.database,
    lock: { lockTimeoutMs: 2000, terminateBlockers: false },
    migrate: async (hooks) => hooks.afterLocking?.(client),
    onDropping: (detail) => void details.push(detail),
    onDropped() {},
  })

  const { rows } = await world.pool.query(
    `select nspname from pg_namespace where nspname in ('app', 'other', 'graphile_migrate')`,
  )
  t.same(rows, [])
  t.match(details[0], /^dropping \d+ objects$/)
  t.equal(details.at(-1), 'dropping everything')
  t.equal((await world.pool.query('select from provisioning.disposable')).rowCount, 1)
})

/** Makes a session fail as PostgreSQL does when a transaction drops more tables than there are locks. */
function limitLocks(client: Client, limit: number): Client {
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
  let drops = 0
  client.query = (async (...args: unknown[]) => {
    const text = String(args[0])
    if (text.startsWith('begin')) drops = 0
    const tables = /^drop schema if exists app/.test(text) ? await countTables(query) : 1
    if (/^drop (?:schema if exists app|table)/.test(text)) drops += tables
    if (drops > limit) {
      throw Object.assign(new Error('out of shared memory'), { code: '53200' })
    }
    return query(...args)
  }) as typeof client.query
  return client
}

async function countTables(query: (sql: string) => Promise<unknown>): Promise<number> {
  const { rows } = (await query(
    `select count(*)::int as count from pg_catalog.pg_class
      where relkind = 'r' and relnamespace = pg_catalog.to_regnamespace('app')`,
  )) as { rows: { count: number }[] }
  return rows[0]?.count ?? 0
}
