import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { waitUntilBlocked } from '../support/sessions.ts'
import { startResetting, THINGS } from './running.ts'
import { compareSnapshots, takeSnapshot } from './snapshot.ts'

test('a service resets the database that it migrated, also after it was killed', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const first = await startResetting(t, { DATABASE_URL: url })
  t.match((await first.get('/status')).body.reset, { enabled: true, allowedHere: true, count: 0 })
  const before = await takeSnapshot(pool)
  await pool.query(`delete from e2e.config; select pgmq.create('made_since')`)

  t.match(await first.reset(), {
    status: 200,
    body: {
      mode: 'data',
      tables: { restored: ['e2e.config'] },
      queues: { dropped: ['made_since'] },
    },
  })

  t.same(compareSnapshots(before, await takeSnapshot(pool)), [])
  t.match((await first.get('/status')).body.reset, { count: 1 })
  await first.stop('SIGKILL')
  await pool.query('delete from e2e.config')
  const second = await startResetting(t, { DATABASE_URL: url })
  t.equal((await second.reset()).status, 200)
  t.same(compareSnapshots(before, await takeSnapshot(pool)), [])
})

test('switching reset off unmarks the database; only its owner can mark it again', async (t) => {
  const { url, pool, name } = await createTestDatabase(t, { from: 'empty' })
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, [THINGS.first]) }
  await (await startResetting(t, env)).stop()

  const off = await startResetting(t, { ...env, RESET_ENABLED: 'false' })
  t.equal((await off.reset()).status, 404)
  t.ok(off.log().some(({ msg }) => msg.startsWith('RESET_ENABLED is false')))
  await off.stop()
  await pool.query(THINGS.dirt)
  const on = await startResetting(t, env)
  t.match(await on.reset(), { status: 403, body: { code: 'database_not_disposable' } })
  t.equal((await pool.query(`select from things where label = 'dirt'`)).rowCount, 1)
  await pool.query('select provisioning.allow_reset($1)', [name])
  t.equal((await on.reset()).status, 200)
  t.equal((await pool.query(`select from things where label = 'dirt'`)).rowCount, 0)
})

test('a database that was in use is not disposable, and has no baseline', async (t) => {
  const { url, pool, name } = await createTestDatabase(t, { from: 'migrated' })
  const { rowCount } = await pool.query('delete from e2e.config')
  const service = await startResetting(t, { DATABASE_URL: url })

  t.match(await service.reset(), { status: 403, body: { code: 'database_not_disposable' } })
  t.match(await service.reset({ mode: 'rebuild' }), {
    status: 403,
    body: { code: 'database_not_disposable' },
  })
  await pool.query('select provisioning.allow_reset($1)', [name])
  t.match(await service.reset(), {
    status: 409,
    body: { code: 'no_baseline', remedy: 'rebuild' },
  })
  t.match(await service.reset({ mode: 'rebuild' }), { status: 200, body: { mode: 'rebuild' } })
  t.equal((await pool.query('select from e2e.config')).rowCount, rowCount)
  t.equal((await service.reset()).status, 200)
})

test('twenty concurrent resets run one after another, and all succeed', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const migrationsDir = createMigrationsFolder(t, [THINGS.first])
  const service = await startResetting(t, { DATABASE_URL: url, MIGRATIONS_DIR: migrationsDir })

  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      await pool.query(THINGS.dirt)
      return service.reset()
    }),
  )

  t.same(
    answers.map(({ status }) => status),
    answers.map(() => 200),
  )
  t.same((await pool.query('select * from things')).rows, [{ id: 1, label: 'seed' }])
})

test('a client that disconnects ends the wait for a lock, and so does a stop', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, [THINGS.first])
  const service = await startResetting(t, { DATABASE_URL: url, MIGRATIONS_DIR: folder })
  const writer = await pool.connect()
  t.teardown(async () => writer.release(true))
  await writer.query(`begin; insert into things (label) values ('mine')`)

  const client = new AbortController()
  const first = service.reset({ lockTimeoutMs: 60_000 }, client.signal)
  await waitUntilBlocked(pool, 'reset_data')
  client.abort()
  await t.rejects(first, { name: 'AbortError' })
  t.match(
    await service.reset({ lockTimeoutMs: 0 }),
    { status: 423, body: { code: 'locked' } },
    'the first reset no longer waits',
  )
  t.notOk(
    service.output().includes('lost'),
    'a client that disconnects is not reported as a lost database',
  )

  const second = service.reset({ lockTimeoutMs: 60_000 })
  await waitUntilBlocked(pool, 'reset_data')
  const { code } = await service.stop()
  t.equal(code, 0)
  t.match(await second, { status: 503, body: { code: 'not_ready', reason: 'stopping' } })
})
