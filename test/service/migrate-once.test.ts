import { connect, createServer } from 'node:net'
import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'

const MIGRATE_ONCE = [process.execPath, 'dist/app/migrate-once.js'] as const

test('migrates, and ends with 0, while another program holds its port', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  t.teardown(() => holder.close())
  const { port } = holder.address() as { port: number }
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const MIGRATIONS_DIR = createMigrationsFolder(t, ['create schema made_once;'])

  const job = startService(
    t,
    { PORT: String(port), DATABASE_URL: url, MIGRATIONS_DIR },
    MIGRATE_ONCE,
  )

  t.match(await job.ended, { code: 0 })
  t.equal(job.log().at(-1)?.msg, 'stopped')
  t.notMatch(job.output(), 'listening')
  const { rows } = await pool.query("select 1 from pg_namespace where nspname = 'made_once'")
  t.equal(rows.length, 1)
})

for (const onFailure of ['exit', 'stay']) {
  test(`logs why a migration failed, and ends with 4 (ON_MIGRATION_FAILURE=${onFailure})`, async (t) => {
    const { url } = await createTestDatabase(t, { from: 'empty' })
    const MIGRATIONS_DIR = createMigrationsFolder(t, ['select 1/0;'])
    const env = { DATABASE_URL: url, MIGRATIONS_DIR, ON_MIGRATION_FAILURE: onFailure }

    const job = startService(t, env, MIGRATE_ONCE)

    t.match(await job.ended, { code: 4 })
    t.match(job.log().find(({ level }) => level === 'fatal')?.err, { code: 'migration_failed' })
  })
}

test('with nothing pending, one login is all that it needs', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const MIGRATIONS_DIR = createMigrationsFolder(t, ['select 1;'])
  t.match(await startService(t, { DATABASE_URL: url, MIGRATIONS_DIR }, MIGRATE_ONCE).ended, {
    code: 0,
  })
  const through = new URL(url)
  const target = { host: through.hostname, port: Number(through.port) }
  let connections = 0
  const proxy = createServer((socket) => {
    connections++
    const server = connect(target)
    socket.pipe(server).pipe(socket)
    for (const end of [socket, server]) end.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => proxy.once('listening', resolve))
  t.teardown(() => proxy.close())
  through.port = String((proxy.address() as { port: number }).port)

  const job = startService(t, { DATABASE_URL: through.href, MIGRATIONS_DIR }, MIGRATE_ONCE)

  t.match(await job.ended, { code: 0 })
  t.equal(connections, 1)
})
