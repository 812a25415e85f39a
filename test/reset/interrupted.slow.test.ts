import { test } from 'tap'
import { wasInterrupted } from '../../src/reset/interrupted.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { waitUntilBlocked } from '../support/sessions.ts'
import { startResetting } from './running.ts'
import { compareSnapshots, takeSnapshot } from './snapshot.ts'
import { connect, createResetWorld } from './world.ts'

const SCHEMA = 'create table public.things (id serial primary key, label text)'
const DIRT = `insert into public.things (label) values ('dirt'), ('more')`

test('a reset that set sequences and did not commit is detected, and the next one repairs it', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  const before = await takeSnapshot(world.pool)
  await world.pool.query(DIRT)
  t.equal(await wasInterrupted(world.pool), false, 'the application used it, no reset did')

  await interruptReset(world)

  t.equal(await wasInterrupted(world.pool), true)
  await t.rejects(
    world.pool.query(DIRT),
    { code: '23505' },
    'the sequence gives a number that is taken',
  )
  const { result } = await world.reset()
  t.same(result.tables.emptied, ['public.things'])
  t.equal(await wasInterrupted(world.pool), false)
  t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [])
})

test('explicit numbers, and a sequence that a test set back, are not an interrupted reset', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })

  await world.pool.query(`insert into public.things (id) values (7);
                          ${DIRT}; select setval('public.things_id_seq', 1, false)`)

  t.equal(await wasInterrupted(world.pool), false)
})

test('the check waits for a reset that is running', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  await world.pool.query(DIRT)
  const { client } = await world.sessions.open()
  await client.query('begin; select pg_temp.reset_data(null, 1000, null, false)')

  let answer: boolean | undefined
  const asked = (async () => {
    const other = await connect(world.url)
    t.teardown(() => other.end())
    answer = await wasInterrupted(other)
  })()
  await waitUntilBlocked(world.pool, 'lock table provisioning')
  t.equal(answer, undefined)
  await client.query('commit')

  await asked
  t.equal(answer, false)
})

test('a check that times out leaves the session usable for the next reset', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  const { client } = await world.sessions.open()
  const other = await connect(world.url)
  t.teardown(() => other.end())
  await other.query('begin; lock table provisioning.disposable in share mode')
  await client.query(`set lock_timeout to '10ms'`)

  await t.rejects(wasInterrupted(client), { code: '55P03' })

  await other.query('rollback')
  t.equal(await wasInterrupted(client), false)
  await world.pool.query(DIRT)
  await world.reset()
  t.equal((await world.pool.query('select from public.things')).rowCount, 0)
})

test('a service is not ready until an interrupted reset is repaired', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, [SCHEMA]) }
  const first = await startResetting(t, env)
  await first.reset()
  await first.stop()
  await pool.query(`select setval('provisioning.reset_attempt', 1 + last_value)
                      from provisioning.reset_attempt`)

  const second = await startResetting(t, env, { isReady: false })

  await second.waitForReason('database_unavailable')
  t.equal((await second.reset()).status, 200)
  await second.waitForReady()
})

/** As if the server were lost just before the commit: the sequences are set, the rows are not. */
async function interruptReset({ sessions }: Awaited<ReturnType<typeof createResetWorld>>) {
  const { client } = await sessions.open()
  await client.query('begin; select pg_temp.reset_data(null, 1000, null, false); rollback')
}
