import { test } from 'tap'
import { createDrift } from '../../src/drift/drift.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import { startResetting, THINGS } from '../reset/running.ts'
import { becomes } from '../support/becomes.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { type Service, startService } from '../support/service.ts'
import { createRecorded } from './recorded.ts'

/** What a check said last; undefined before the first. */
async function readDrift(service: Service) {
  const { checkedAt, ...drift } = (await service.get('/status')).body.drift
  return checkedAt === null ? undefined : drift
}

test('the service reports drift, logs it once, and stays ready', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const MIGRATIONS_DIR = createMigrationsFolder(t, [THINGS.first, THINGS.second])
  const service = await startResetting(t, { DATABASE_URL: url, MIGRATIONS_DIR })
  await becomes(t, () => readDrift(service), { inSync: true, differences: [] })

  await pool.query('alter table public.things add column note text')
  const differences = [
    { kind: 'column', name: 'public.things.note', change: 'added', detail: 'text' },
  ]
  t.match(await service.reset(), { status: 409, body: { code: 'schema_changed' } })
  await becomes(t, () => readDrift(service), { inSync: false, differences })
  t.equal((await service.get('/readyz')).status, 200)

  const checkedAt = async () => (await service.get('/status')).body.drift.checkedAt
  const first = await checkedAt()
  await service.reset()
  await becomes(t, async () => (await checkedAt()) !== first, true)
  t.strictSame(
    service.log().flatMap(({ msg, level }) => (msg.startsWith('drift') ? `${level} ${msg}` : [])),
    ['warn drift: column public.things.note was added'],
  )

  t.equal((await service.reset({ mode: 'rebuild' })).status, 200)
  await becomes(t, () => readDrift(service), { inSync: true, differences: [] })
  t.ok(await service.waitForLog('drift: differences are no longer there'))
  t.equal((await service.reset()).status, 200, 'the reset knows the schema, too')
})

test('the schema before the first migration is recorded before that commits', async (t) => {
  // What the migration locks must not keep the record waiting, nor the other way round.
  const beside = `
    create schema app;
    create table app.item (id int);
    do $$
    begin
      for look in 1 .. 500 loop
        exit when exists (select from pg_class where relname = 'recorded_schema');
        perform pg_sleep(0.01);
      end loop;
    end
    $$;`
  const isRecorded = `
    do $$
    begin
      if (select count(*) from provisioning.recorded_schema where moment = 'before') <> 1 then
        raise exception 'not recorded';
      end if;
    end
    $$;`
  for (const [before, migration] of [
    ['select', `${beside} ${isRecorded}`],
    [
      'create view public.named as select 1 as id',
      `lock table public.named; ${isRecorded} drop view public.named; ${beside}`,
    ],
    // The file waits for the record also where both make the same, or where it locks what the record reads.
    ['select', `create schema if not exists provisioning; ${isRecorded} ${beside}`],
    [
      'select',
      `alter table graphile_migrate.migrations enable row level security; ${isRecorded} ${beside}`,
    ],
    // What the record reads of queues.
    ['create extension pgmq', `lock table pgmq.meta; ${isRecorded} ${beside}`],
  ] as const) {
    const { url, pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query(before)
    const MIGRATIONS_DIR = createMigrationsFolder(t, [migration])
    const service = startService(t, { DATABASE_URL: url, MIGRATIONS_DIR })
    await becomes(t, () => readDrift(service), { inSync: true, differences: [] })
    await service.stop()
  }
})

test('a first migration that makes, unseen, what the record needs does not keep the start waiting', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  // Until the record waits for it.
  const makes = `
    do $$
    begin
      execute 'create schema provi' || 'sioning';
      while not exists (select from pg_locks where not granted) loop
        perform pg_sleep(0.01);
      end loop;
    end
    $$;`
  const MIGRATIONS_DIR = createMigrationsFolder(t, [makes])
  const service = startService(t, { DATABASE_URL: url, MIGRATIONS_DIR })

  await service.waitForReady()
  t.ok(await service.waitForLog('the schema is not recorded, so drift from it cannot be reported'))
})

test('with reset off, a later migration does not absorb drift', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const start = (...migrations: string[]) =>
    startService(t, { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, migrations) })
  const first = start(THINGS.first)
  await becomes(t, () => readDrift(first), { inSync: true, differences: [] })
  await first.stop()

  await pool.query('drop sequence public.things_id_seq cascade')
  const second = start(THINGS.first, 'create table public.more (id int)')
  await second.waitForReady()
  await becomes(t, async () => (await readDrift(second))?.differences, [
    {
      kind: 'column',
      name: 'public.things.id',
      change: 'changed',
      detail:
        "definition: integer not null, was integer not null default nextval('public.things_id_seq'::regclass)",
    },
    {
      kind: 'sequence',
      name: 'public.things_id_seq',
      change: 'dropped',
      detail: 'integer start 1 increment 1 minimum 1 maximum 2147483647 cache 1',
    },
  ])
})

test('a database that was migrated before has no record until record_schema() is run', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
  const settings = { DATABASE_URL: url }
  const first = startService(t, settings)
  await becomes(t, async () => (await readDrift(first))?.inSync, null)
  t.match(await readDrift(first), { reason: /no schema was recorded/ })
  t.equal((await first.get('/readyz')).status, 200)
  await first.stop()

  await pool.query('select provisioning.record_schema()')
  const second = startService(t, settings)
  await becomes(t, () => readDrift(second), { inSync: true, differences: [] })
})

test('a role that may not create the record gets a reason, and the service is ready', async (t) => {
  const role = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
  await pool.query(`
    grant usage on schema graphile_migrate to ${role};
    grant select on all tables in schema graphile_migrate to ${role}`)
  const address = new URL(url)
  address.username = role
  const service = startService(t, { DATABASE_URL: address.href })
  await service.waitForReady()
  await becomes(t, async () => (await readDrift(service))?.inSync, null)
  t.match(await readDrift(service), { reason: /may not create the schema provisioning/ })
  await service.stop()
  await pool.query(`drop owned by ${role}`)
})

test('after the first check, the next ones need no session of the pool, also where something changed', async (t) => {
  const { pool, session } = await createRecorded(t, 'create table public.item (id int)')
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  let queries = 0
  const counting = {
    query(text: string) {
      queries += 1
      return pool.query(text)
    },
  } as unknown as Queryable
  // On a busy machine it takes longer than a session with other work may.
  const patient = {
    query: (text: string) =>
      session.query(text.replace(/statement_timeout = \d+/, 'statement_timeout = 0')),
  } as unknown as Queryable
  const quiet = { debug() {}, info() {}, warn() {}, error() {} }
  const drift = createDrift({
    database: () => ({ pool: counting }),
    session: () => patient,
    isReady: () => true,
    mayCreate: () => true,
    log: quiet,
    stopping: stop.signal,
    intervalMs: 10,
  })
  drift.checkSoon()
  await becomes(t, async () => drift.latest().inSync, true)
  const { checkedAt } = drift.latest()
  const before = queries
  await becomes(t, async () => drift.latest().checkedAt !== checkedAt, true)
  await pool.query('alter table public.item add column note text')
  await becomes(t, async () => drift.latest().differences.map(({ name }) => name), [
    'public.item.note',
  ])
  t.equal(queries, before)
})
