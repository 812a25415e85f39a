import { test } from 'tap'
import { captureBaseline } from '../../src/baseline/capture.ts'
import { rebuild } from '../../src/reset/rebuild.ts'
import { waitUntilBlocked } from '../support/sessions.ts'
import { HELD_TABLE, holdReset } from './hold.ts'
import { connect, createResetWorld, type ResetWorld, readPid } from './world.ts'

test('the next reset detects a table that was created while a reset wrote to the catalogue', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create table public.log (what text);
             create table public.watched (amount int);
             insert into public.watched values (1);
             create function public.tg() returns trigger language plpgsql as 'begin return null; end';
             create trigger after_delete after delete on public.watched
               for each row execute function public.tg()`,
  })
  await world.reset()
  await world.pool.query('update public.watched set amount = 2')
  const { client } = await world.sessions.open()
  await client.query('begin; select pg_temp.reset_data(null, 1000, null, false)')
  await world.pool.query('create table public.sneaky (amount int)')
  await client.query('commit')

  await t.rejects(world.reset(), { code: 'schema_changed' })

  await world.pool.query('drop table public.sneaky')
  await world.reset()
})

test('the next reset detects a table that was created before a reset stored new fingerprints', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create table public.large (what text); ${HELD_TABLE}`,
  })
  await world.reset()
  // Truncating it writes to the catalogue.
  await world.pool.query(
    `insert into public.large select repeat('x', 1000) from generate_series(1, 2000)`,
  )
  const hold = await holdReset(t, world)
  const reset = world.reset()
  await hold.arrival()

  await world.pool.query('create table public.sneaky (amount int)')
  await hold.release()

  t.same((await reset).result.tables, { emptied: ['public.large'], restored: ['public.held'] })
  await t.rejects(world.reset(), { code: 'schema_changed' })
})

test('a reset waits for the refresh of a materialized view, which brings nothing back', async (t) => {
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
  const error = await world.reset({ lockTimeoutMs: 100 }).catch((cause) => cause)
  t.match(error, { code: 'locked' })
  t.equal(error.extensions.blockers.length, 1)
  const reset = world.reset({ lockTimeoutMs: 10_000 })
  await waitUntilBlocked(world.pool, 'reset_data')
  await other.query('commit')

  await reset

  t.equal((await world.pool.query('select from public.seen')).rowCount, 0)
  const { rows } = await world.pool.query(`select obj_description('public.seen'::regclass) as text`)
  t.same(rows, [{ text: `it's seen` }])
})

test('a blocker that came while the reset waited for another is reported and terminated', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.things (amount int)',
  })
  await world.reset()
  const [first, second] = [await connect(world.url), await connect(world.url)]
  t.teardown(() => Promise.all([first.end(), second.end()].map((end) => end.catch(() => {}))))
  await first.query('begin; insert into public.things values (1)')
  const reset = world.reset({ lockTimeoutMs: 1200, terminateBlockers: true })
  await waitUntilBlocked(world.pool, 'reset_data')
  const pid = await readPid(second)
  await second.query('begin; insert into public.things values (2)')
  await first.query('commit')

  const { terminated } = await reset

  t.same(
    terminated.map(({ pid }) => pid),
    [pid],
  )
  t.equal((await world.pool.query('select from public.things')).rowCount, 0)
})

test('a blocker of a rebuild is reported, whatever it uses', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create sequence public.numbers; create view public.ones as select 1 as one;
             create materialized view public.kept as select 1 as one`,
  })
  const other = await connect(world.url)
  t.teardown(() => other.end())
  const pid = await readPid(other)
  for (const use of [
    `select nextval('public.numbers')`,
    'select * from public.kept',
    'create or replace view public.ones as select 1 as one',
  ]) {
    await other.query(`begin; ${use}`)

    const error = await drop(world, 100).catch((cause) => cause)

    t.match(error, { code: 'locked', extensions: { blockers: [{ pid }] } }, use)
    await other.query('rollback')
  }
})

test('no baseline is captured while another session is writing', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.things (amount int)',
  })
  const [owner, writer] = [await connect(world.url), await connect(world.url)]
  t.teardown(() => Promise.all([owner.end(), writer.end()]))
  await writer.query('begin; insert into public.things values (1)')

  t.equal(await captureBaseline(owner), false)

  await writer.query('commit')
  await t.rejects(world.reset(), { code: 'no_baseline' })
})

test('no baseline is captured in a database that is no longer marked disposable', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.things (amount int)',
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
