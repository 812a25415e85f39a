import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { findFreePort } from '../support/port.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'
import { HELD_TABLE, holdReset } from './hold.ts'
import { startResetting } from './running.ts'
import { compareSnapshots, type Snapshot, takeSnapshot } from './snapshot.ts'

const MIGRATION = `
  create table public.things (id serial primary key, label text);
  insert into public.things (label) values ('seed');
  ${HELD_TABLE}`
const DIRT = `insert into things (label) values ('dirt'); update things set label = 'changed' where id = 1`

test('a reset is complete or undone after its service is killed', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const { url, pool } = database
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, [MIGRATION]) }
  const service = await startResetting(t, env)
  const clean = await takeSnapshot(pool)
  await pool.query(DIRT)
  const hold = await holdReset(t, database)
  const dirty = await takeSnapshot(pool)

  service.reset().catch(() => {})
  await hold.arrival()
  await service.stop('SIGKILL')
  await hold.release()
  await until('the session of the reset ends', async () => (await countResets(pool)) === 0)

  const rows = rowsOf(await takeSnapshot(pool))
  t.ok(
    [clean, dirty].some((state) => compareSnapshots(rowsOf(state), rows).length === 0),
    'all of the reset or nothing',
  )
  const next = await startResetting(t, env)
  t.equal((await next.reset()).status, 200)
  t.same(compareSnapshots(clean, await takeSnapshot(pool)), [])
})

test('a reset is undone after the server crashes in its middle, and works again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-killed-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const port = await findFreePort()
  const service = await startResetting(t, {
    EMBEDDED_DATA_DIR: join(folder, 'postgres'),
    EMBEDDED_PORT: String(port),
    EMBEDDED_PASSWORD: 'postgres',
    MIGRATIONS_DIR: createMigrationsFolder(t, [MIGRATION]),
  })
  const url = `postgres://postgres:postgres@127.0.0.1:${port}/commandbus`
  const pool = new pg.Pool({ connectionString: url })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const clean = await takeSnapshot(pool)
  await pool.query(DIRT)
  const hold = await holdReset(t, { url, pool })
  const dirty = await takeSnapshot(pool)

  const answer = service.reset()
  // When one backend is killed, the server ends all others and recovers from its log.
  process.kill(await hold.arrival(), 'SIGKILL')

  t.match(await answer, { status: 503, body: { code: 'database_lost' } })
  const found = await afterRecovery(() => takeSnapshot(pool))
  t.same(compareSnapshots(rowsOf(dirty), rowsOf(found)), [])
  await service.waitForReady()
  t.equal((await service.reset()).status, 200)
  t.same(compareSnapshots(clean, await takeSnapshot(pool)), [])
  await pool.end()
  await service.stop()
})

/** Without the sequences: a crash may skip numbers. */
function rowsOf(snapshot: Snapshot): Snapshot {
  return Object.fromEntries(Object.entries(snapshot).filter(([name]) => name.startsWith('rows')))
}

async function countResets(pool: pg.Pool): Promise<number | null> {
  const { rowCount } = await pool.query(
    `select from pg_stat_activity
      where datname = current_database() and query like '%pg_temp.reset_data%'
        and pid <> pg_backend_pid()`,
  )
  return rowCount
}

async function afterRecovery(read: () => Promise<Snapshot>): Promise<Snapshot> {
  let found: Snapshot | undefined
  await until('the server has recovered', async () => {
    found = await read().catch(() => undefined)
    return found !== undefined
  })
  return found as Snapshot
}
