// The SQL of docs/operate/security.md, as it stands there but for the names.
import pg from 'pg'
import { test } from 'tap'
import { readProjectFile } from '../support/files.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { startService } from '../support/service.ts'

function readSql(names: Readonly<Record<string, string>>): string {
  const page = readProjectFile('docs/operate/security.md')
  const sql = /## Least privilege.*?```sql\n(.*?)```/s.exec(page)?.[1] ?? ''
  // The roles exist already, so that they are dropped after the test.
  return Object.entries(names).reduce(
    (text, [name, actual]) => text.replaceAll(name, actual),
    sql.replace(/^create role .*\n/gm, '').replaceAll('database commandbus', 'database :database'),
  )
}

test('with the documented roles, the service migrates from empty and a client only works', async (t) => {
  const migrator = await createTestRole(t)
  const client = await createTestRole(t)
  const database = await createTestDatabase(t, { from: 'empty' })
  await database.pool.query(
    readSql({
      commandbus_migrator: migrator,
      commandbus_client: client,
      ':database': `"${database.name}"`,
    }),
  )
  const urlOf = (role: string) => {
    const url = new URL(database.url)
    url.username = role
    return url.href
  }

  const service = startService(t, { DATABASE_URL: urlOf(migrator), E2E_SCHEMA: 'off' })
  await service.waitForReady().catch(() => t.fail(service.output()))
  t.equal((await service.get('/status')).body.state, 'ready')
  await service.stop()
  const again = startService(t, { DATABASE_URL: urlOf(migrator), E2E_SCHEMA: 'off' })
  await again.waitForReady()
  await again.stop()

  // Only a role of the documented name is granted this by the migrations themselves.
  const owner = new pg.Client({ connectionString: urlOf(migrator) })
  await owner.connect()
  await owner.query(`select commandbus.grant_client('${client}')`)
  await owner.end()
  const worker = new pg.Client({ connectionString: urlOf(client) })
  await worker.connect()
  t.teardown(() => worker.end())
  await worker.query('select count(*) from commandbus.command')
  await worker.query('select * from pgmq.list_queues()')
  for (const refused of [
    'create table public.t ()',
    'create table commandbus.t ()',
    'drop table commandbus.command',
    'create schema s',
    "select pgmq.create('mine')",
    'select * from graphile_migrate.migrations',
    `select commandbus.grant_client('${client}')`,
    'create role r',
    "copy (select 1) to program 'true'",
    'alter function commandbus.sp_refresh_batch_stats owner to current_user',
  ]) {
    await t.rejects(worker.query(refused), { code: '42501' }, refused)
  }
})
