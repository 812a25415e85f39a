import { test } from 'tap'
import { createMigrationsFolder, writeCommitted } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startResetting, THINGS } from './running.ts'

test('a rebuild repairs a changed schema, and the next rebuild a failed one', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, [THINGS.first, THINGS.second])
  const service = await startResetting(t, { DATABASE_URL: url, MIGRATIONS_DIR: folder })
  await pool.query(`alter table things add extra int; create schema extra; create table extra.t ();
                    create extension pgmq; select pgmq.create('made_since')`)

  t.match(await service.reset(), { status: 409, body: { code: 'schema_changed' } })
  t.equal((await service.reset({ mode: 'rebuild' })).status, 200)
  t.same((await pool.query('select * from things order by id')).rows, [
    { id: 1, label: 'seed' },
    { id: 2, label: 'second seed' },
  ])
  t.equal((await pool.query(`select to_regnamespace('extra') as extra`)).rows[0].extra, null)
  t.equal((await pool.query('select from pgmq.meta')).rowCount, 0)

  writeCommitted(folder, [THINGS.first, '--! no-transaction\nselect 1 / 0'])
  t.match(await service.reset({ mode: 'rebuild' }), {
    status: 500,
    body: { code: 'migration_failed', sqlstate: '22012' },
  })
  await service.waitForReason('migration_failed')
  t.match(await service.reset(), { status: 503, body: { code: 'not_ready' } })
  writeCommitted(folder, [THINGS.first, THINGS.second])
  t.equal((await service.reset({ mode: 'rebuild' })).status, 200)
  await service.waitForReady()
  await pool.query(THINGS.dirt)
  t.equal((await service.reset()).status, 200)
  t.equal((await pool.query('select from things')).rowCount, 2)
})

test('a second service rejects resets while the first rebuilds, and says why', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, [THINGS.first, `select pg_sleep(0.3)`, THINGS.second])
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: folder }
  const [first, second] = [await startResetting(t, env), await startResetting(t, env)]
  await second.reset()

  const rebuilt = first.reset({ mode: 'rebuild' })
  let isDone = false
  rebuilt.finally(() => {
    isDone = true
  })
  const found = new Set<string>()
  while (!isDone) {
    const { status, body } = await second.reset({ lockTimeoutMs: 50 })
    found.add(status === 200 ? '200' : `${status} ${body.code}`)
  }

  t.equal((await rebuilt).status, 200)
  // Not ready: it noticed that the history is gone.
  const expected = new Set(['200', '409 no_baseline', '423 locked', '503 not_ready'])
  t.same(
    [...found].filter((answer) => !expected.has(answer)),
    [],
  )
  await second.waitForReady()
  t.equal((await second.reset()).status, 200)
})

test('a stop interrupts a rebuild, which reports it, and the next start completes the work', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, [THINGS.first])
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: folder }
  const service = await startResetting(t, env)
  writeCommitted(folder, [THINGS.first, 'select pg_sleep(1)', THINGS.second])

  const answer = service.reset({ mode: 'rebuild' })
  await service.waitForReason('rebuilding')
  const { code } = await service.stop()

  t.equal(code, 0)
  t.match(await answer, { status: 503, body: { code: 'not_ready', reason: 'stopping' } })
  const next = await startResetting(t, env)
  t.equal((await next.reset({ mode: 'rebuild' })).status, 200)
  t.equal((await pool.query('select from things')).rowCount, 2)
})

test('a rebuild creates the optional schema again if the migrations had created it', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const service = await startResetting(t, { DATABASE_URL: url })
  const { rowCount } = await pool.query('select from e2e.config')
  await pool.query('drop schema e2e cascade')
  t.match(await service.reset(), { status: 409, body: { code: 'schema_changed' } })

  t.equal((await service.reset({ mode: 'rebuild' })).status, 200)
  t.equal((await pool.query('select from e2e.config')).rowCount, rowCount)

  await pool.query('drop schema e2e cascade')
  await service.stop()
  const next = await startResetting(t, { DATABASE_URL: url })
  t.equal((await next.reset({ mode: 'rebuild' })).status, 200)
  t.equal((await pool.query('select from e2e.config')).rowCount, rowCount)
})
