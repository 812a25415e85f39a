import { test } from 'tap'
import { wasInterrupted } from '../../src/reset/interrupted.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { compareFingerprints, takeFingerprint } from './fingerprint.ts'
import { startResetting } from './running.ts'
import { connect, createResetWorld, waitUntilBlocked } from './world.ts'

const SCHEMA = 'create table public.things (id serial primary key, label text)'
const DIRT = `insert into public.things (label) values ('dirt'), ('more')`

test('a reset that set sequences and did not commit is known, and mended by the next', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })
  const before = await takeFingerprint(world.pool)
  await world.pool.query(DIRT)
  t.equal(await wasInterrupted(world.pool), false, 'in use')

  await breakOff(world)

  t.equal(await wasInterrupted(world.pool), true)
  await t.rejects(world.pool.query(DIRT), { code: '23505' }, 'a number that is taken')
  const { result } = await world.reset()
  t.same(result.tables.emptied, ['public.things'])
  t.equal(await wasInterrupted(world.pool), false)
  t.same(compareFingerprints(before, await takeFingerprint(world.pool)), [])
})

test('explicit numbers, and a sequence that a test has set back, are no reset that broke off', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA })

  await world.pool.query(`insert into public.things (id) values (7);
                          ${DIRT}; select setval('public.things_id_seq', 1, false)`)

  t.equal(await wasInterrupted(world.pool), false)
})

test('a reset that is under way is waited for', async (t) => {
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
  await waitUntilBlocked(world, 'lock table provisioning')
  t.equal(answer, undefined)
  await client.query('commit')

  await asked
  t.equal(answer, false)
})

test('a look that is not had in time leaves the session fit for the next reset', async (t) => {
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

test('a service is not ready while a reset that broke off has not been mended', async (t) => {
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

/** What the loss of the server at the very last leaves: the sequences are set, the rows are there. */
async function breakOff({ sessions }: Awaited<ReturnType<typeof createResetWorld>>) {
  const { client } = await sessions.open()
  await client.query('begin; select pg_temp.reset_data(null, 1000, null, false); rollback')
}
