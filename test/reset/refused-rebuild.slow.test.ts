import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createMigrationsFolder, writeCommitted } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { startResetting, THINGS } from './running.ts'

test('a rebuild that cannot succeed is refused before anything is dropped', async (t) => {
  const role = await createTestRole(t, `login password 'only-for-this-test'`)
  const { url, pool, name } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`alter database ${name} owner to ${role}`)
  const own = new URL(url)
  own.username = role
  own.password = 'only-for-this-test'
  const folder = createMigrationsFolder(t, [THINGS.first])
  const service = await startResetting(t, { DATABASE_URL: own.href, MIGRATIONS_DIR: folder })
  await pool.query(`insert into things (label) values ('kept')`)
  const stray = join(folder, 'committed', 'notes.txt')
  const gmrc = join(folder, '.gmrc')

  for (const [what, spoil, repair, expected] of [
    [
      'a stray file',
      () => writeFileSync(stray, ''),
      () => rmSync(stray),
      { status: 409, body: { code: 'history_refused' } },
    ],
    [
      'a wrong .gmrc',
      () => writeFileSync(gmrc, '{pgSettings: 1}'),
      () => rmSync(gmrc),
      { body: { code: 'wrong_settings' } },
    ],
    [
      'a migration that fails',
      () => writeCommitted(folder, ['select 1 / 0']),
      () => writeCommitted(folder, [THINGS.first]),
      { body: { code: 'migration_failed', sqlstate: '22012', migration: '000001-step-1.sql' } },
    ],
    [
      'no connection left for the migrations',
      () => pool.query(`alter role ${role} connection limit 3`),
      () => pool.query(`alter role ${role} connection limit -1`),
      { status: 503 },
    ],
  ] as const) {
    await spoil()
    const { status, body } = await service.reset({ mode: 'rebuild' })
    t.match({ status, body }, expected, what)
    t.equal((await pool.query(`select from things where label = 'kept'`)).rowCount, 1, what)
    t.equal((await service.get('/readyz')).status, 200, what)
    await repair()
  }

  await pool.query(`alter database ${name} set default_transaction_read_only = on`)
  const { status } = await service.reset({ mode: 'rebuild' })
  t.equal(status, 503)
  t.equal((await pool.query(`select from things where label = 'kept'`)).rowCount, 1)
  await pool.query(
    `begin read write; alter database ${name} reset default_transaction_read_only; commit`,
  )
  await service.waitForReady()

  t.equal((await service.reset({ mode: 'rebuild' })).status, 200)
  t.equal((await pool.query(`select from things where label = 'kept'`)).rowCount, 0)
})
