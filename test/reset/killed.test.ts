import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type Test, test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { findFreePort } from '../support/port.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { compareFingerprints, type Fingerprint, takeFingerprint } from './fingerprint.ts'
import { startResetting } from './running.ts'

const TABLES = `
  create table public.parents (id serial primary key, label text);
  create table public.children (id serial primary key, parent_id int references public.parents);
  insert into public.parents (label) values ('seed')`
// Slow to delete, as every parent is looked up among the children; deleted because of a reader.
const DIRT = `
  insert into parents (label) select 'dirt' from generate_series(1, 300);
  insert into children (parent_id) select 1 + n % 300 from generate_series(1, 30000) n;
  update parents set label = 'changed' where id = 1`

test('a service that is killed during a reset leaves all of it done or nothing', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const env = { DATABASE_URL: url, MIGRATIONS_DIR: createMigrationsFolder(t, [TABLES]) }
  const service = await startResetting(t, env)
  const clean = await takeFingerprint(pool)
  await pool.query(DIRT)
  const dirty = await takeFingerprint(pool)
  const reader = await openReader(pool)

  service.reset().catch(() => {})
  await waitForReset(pool)
  await service.stop('SIGKILL')
  await waitUntilNoReset(pool)
  reader.release(true)

  assertAllOrNothing(t, await takeFingerprint(pool), clean, dirty)
  const next = await startResetting(t, env)
  t.equal((await next.reset()).status, 200)
  t.same(compareFingerprints(clean, await takeFingerprint(pool)), [])
})

test('a server that crashes during a reset leaves all of it done or nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-killed-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const port = await findFreePort()
  const service = await startResetting(t, {
    EMBEDDED_DATA_DIR: join(folder, 'postgres'),
    EMBEDDED_PORT: String(port),
    MIGRATIONS_DIR: createMigrationsFolder(t, [TABLES]),
  })
  const pool = new pg.Pool({
    connectionString: `postgres://postgres:postgres@127.0.0.1:${port}/commandbus`,
  })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const clean = await takeFingerprint(pool)
  await pool.query(DIRT)
  const dirty = await takeFingerprint(pool)
  const reader = await openReader(pool)

  const answer = service.reset()
  const pid = await waitForReset(pool)
  // The loss of one backend takes the whole server down and through its recovery.
  process.kill(pid, 'SIGKILL')
  // Now and then the reset was faster than the signal.
  t.match((await answer).status, /200|503/)
  reader.release(true)
  const found = await afterRecovery(() => takeFingerprint(pool))

  assertAllOrNothing(t, found, clean, dirty)
  await service.waitForReady()
  t.equal((await service.reset()).status, 200)
  t.same(compareFingerprints(clean, await takeFingerprint(pool)), [])
  await pool.end()
  await service.stop()
})

function assertAllOrNothing(
  t: Test,
  found: Fingerprint,
  clean: Fingerprint,
  dirty: Fingerprint,
): void {
  // Numbers of a sequence may be skipped by a crash, which is no data.
  const rowsOf = (fingerprint: Fingerprint) =>
    Object.fromEntries(Object.entries(fingerprint).filter(([name]) => name.startsWith('rows')))
  const isAll = compareFingerprints(rowsOf(clean), rowsOf(found)).length === 0
  const isNothing = compareFingerprints(rowsOf(dirty), rowsOf(found)).length === 0
  t.ok(isAll || isNothing, isAll ? 'all' : 'nothing')
}

/** Keeps the reset from truncating, by what it has open. */
async function openReader(pool: pg.Pool): Promise<pg.PoolClient> {
  const reader = await pool.connect()
  await reader.query('begin; select from children limit 1; select from parents limit 1')
  return reader
}

async function waitForReset(pool: pg.Pool): Promise<number> {
  for (;;) {
    const { rows } = await pool.query<{ pid: number }>(
      `select pid from pg_stat_activity where query like '%pg_temp.reset_data%' and state = 'active'
          and pid <> pg_backend_pid() and datname = current_database()`,
    )
    if (rows[0] !== undefined) return rows[0].pid
    await sleep(1)
  }
}

async function waitUntilNoReset(pool: pg.Pool): Promise<void> {
  for (;;) {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity where query like '%pg_temp.reset_data%'
          and pid <> pg_backend_pid() and datname = current_database()`,
    )
    if (rowCount === 0) return
    await sleep(10)
  }
}

async function afterRecovery<T>(look: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await look()
    } catch {
      await sleep(50)
    }
  }
}
