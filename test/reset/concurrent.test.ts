import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { captureBaseline } from '../../src/baseline/capture.ts'
import { rebuild } from '../../src/reset/rebuild.ts'
import { connect, createResetWorld, type ResetWorld, waitUntilBlocked } from './world.ts'

test('a table that is made while a reset writes to the catalogue is noticed by the next', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create table public.log (what text);
             create table public.watched (v int);
             insert into public.watched values (1);
             create function public.tg() returns trigger language plpgsql as 'begin return null; end';
             create trigger after_delete after delete on public.watched
               for each row execute function public.tg()`,
  })
  await world.reset()
  await world.pool.query('update public.watched set v = 2')
  const { client } = await world.sessions.open()
  await client.query('begin; select pg_temp.reset_data(null, 1000, null, false)')
  await world.pool.query('create table public.sneaky (v int)')
  await client.query('commit')

  await t.rejects(world.reset(), { code: 'schema_changed' })

  await world.pool.query('drop table public.sneaky')
  await world.reset()
})

test('a table that is made before the signs are taken anew is noticed by the next', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create table public.large (what text); create table public.slow (v int unique);
             create table public.slow_too (v int references public.slow (v))`,
  })
  await world.reset()
  await world.pool.query(`
    insert into public.large select repeat('x', 1000) from generate_series(1, 2000);
    insert into public.slow select generate_series(1, 300);
    insert into public.slow_too select 1 + n % 300 from generate_series(1, 15000) n`)
  const reader = await connect(world.url)
  t.teardown(() => reader.end())
  // Makes it take its time, as the rows are deleted one by one.
  await reader.query('begin; select from public.slow_too; select from public.slow')
  const reset = world.reset()
  await waitUntilActive(world)

  await world.pool.query('create table public.sneaky (v int)')
  await reset.catch(() => {})
  await reader.query('commit')

  await t.rejects(world.reset(), { code: 'schema_changed' })
})

test('a refresh of a materialised view is waited for, and brings nothing back', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create table public.things (id int primary key);
             create materialized view public.seen as select * from public.things;
             create unique index on public.seen (id);
             comment on materialized view public.seen is 'it''s seen'`,
  })
  await world.reset()
  await world.pool.query('insert into public.things values (1), (2)')
  const other = await connect(world.url)
  t.teardown(() => other.end())
  await other.query('begin; refresh materialized view concurrently public.seen')
  const refused = await world.reset({ lockTimeoutMs: 100 }).catch((error) => error)
  t.match(refused, { code: 'locked' })
  t.equal(refused.extensions.blockers.length, 1)
  const reset = world.reset({ lockTimeoutMs: 10_000 })
  await waitUntilBlocked(world, 'reset_data')
  await other.query('commit')

  await reset

  t.equal((await world.pool.query('select from public.seen')).rowCount, 0)
  const { rows } = await world.pool.query(`select obj_description('public.seen'::regclass) as text`)
  t.same(rows, [{ text: `it's seen` }])
})

test('a blocker that came while another was waited for is named, and ended', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.t (v int)',
  })
  await world.reset()
  const [first, second] = [await connect(world.url), await connect(world.url)]
  t.teardown(() => Promise.all([first.end(), second.end()].map((end) => end.catch(() => {}))))
  await first.query('begin; insert into public.t values (1)')
  const reset = world.reset({ lockTimeoutMs: 1200, terminateBlockers: true })
  await waitUntilBlocked(world, 'reset_data')
  await second.query('begin; insert into public.t values (2)')
  const { rows } = await second.query('select pg_backend_pid() as pid')
  await first.query('commit')

  const { terminated } = await reset

  t.match(terminated, rows)
  t.equal((await world.pool.query('select from public.t')).rowCount, 0)
})

test('whatever is in the way of a rebuild is named', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create sequence public.s; create view public.v as select 1 as one;
             create materialized view public.m as select 1 as one`,
  })
  const other = await connect(world.url)
  t.teardown(() => other.end())
  const { rows } = await other.query('select pg_backend_pid() as pid')
  for (const use of [
    `select nextval('public.s')`,
    'select * from public.m',
    'create or replace view public.v as select 1 as one',
  ]) {
    await other.query(`begin; ${use}`)

    const error = await drop(world, 100).catch((cause) => cause)

    t.match(error, { code: 'locked', extensions: { blockers: rows } }, use)
    await other.query('rollback')
  }
})

test('a writer that does not wait for the migrations leaves no baseline', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.t (v int)',
  })
  const [owner, writer] = [await connect(world.url), await connect(world.url)]
  t.teardown(() => Promise.all([owner.end(), writer.end()]))
  await writer.query('begin; insert into public.t values (1)')

  t.equal(await captureBaseline(owner), false)

  await writer.query('commit')
  await t.rejects(world.reset(), { code: 'no_baseline' })
})

test('nothing is captured of a database that does not agree any more', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.t (v int)',
  })
  await world.pool.query('select provisioning.forbid_reset()')
  const owner = await connect(world.url)
  t.teardown(() => owner.end())

  t.equal(await captureBaseline(owner), false)

  t.equal((await world.pool.query('select from provisioning.baseline')).rowCount, 0)
})

async function drop(world: ResetWorld, lockTimeoutMs: number): Promise<unknown> {
  const client = await connect(world.url)
  try {
    return await rebuild({
      sessions: world.sessions,
      database: world.database,
      lock: { lockTimeoutMs, terminateBlockers: false },
      migrate: async (hooks) => hooks.afterLocking?.(client),
      onDropping() {},
      onDropped() {},
    })
  } finally {
    await client.end()
  }
}

async function waitUntilActive({ pool, name }: ResetWorld): Promise<void> {
  for (;;) {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity
        where datname = $1 and query like '%reset_data%' and state = 'active' and wait_event is null
          and clock_timestamp() - query_start > '50ms'`,
      [name],
    )
    if (rowCount) return
    await sleep(5)
  }
}
