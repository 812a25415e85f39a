import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { createTestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'
import { createBus } from '../commandbus/bus.ts'

/** Runs graphile-migrate itself, in a copy of the project with another .gmrc. */
async function migrateWithoutE2e(url: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'e2e-off-'))
  try {
    cpSync(join(projectDir, 'migrations'), join(folder, 'migrations'), { recursive: true })
    const settings = readFileSync(join(projectDir, '.gmrc'), 'utf8')
    writeFileSync(
      join(folder, '.gmrc'),
      settings.replace('":E2E_SCHEMA": "on"', '":E2E_SCHEMA": "off"'),
    )
    const main = createRequire(import.meta.url).resolve('graphile-migrate')
    await promisify(execFile)(process.execPath, [join(dirname(main), 'cli.js'), 'migrate'], {
      cwd: folder,
      env: { PATH: process.env.PATH, DATABASE_URL: url },
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('with E2E_SCHEMA off all migrations run', async (t) => {
  const { pool, url } = await createTestDatabase(t, { from: 'empty' })
  const { pool: withE2e } = await createTestDatabase(t, { from: 'migrated' })
  await migrateWithoutE2e(url)

  t.test('neither the schema e2e nor its queues exist', async (t) => {
    t.equal((await pool.query(`select from pg_namespace where nspname = 'e2e'`)).rowCount, 0)
    t.equal((await pool.query('select from pgmq.meta')).rowCount, 0)
  })

  t.test('the history is the same', async (t) => {
    const history =
      'select hash, previous_hash, filename from graphile_migrate.migrations order by 3'

    t.strictSame((await pool.query(history)).rows, (await withE2e.query(history)).rows)
  })

  t.test('the command bus works', async (t) => {
    const bus = createBus(pool)
    const batchId = await bus.batch({ total: 1 })
    const id = await bus.command({ batchId })
    await bus.receive(id)

    t.equal(await bus.finish(id, 'COMPLETED'), true)
  })

  t.test('grant_client works', async (t) => {
    const role = `off_${randomUUID().slice(0, 8)}`
    await pool.query(`create role ${role}`)
    t.teardown(async () => {
      await pool.query(`drop owned by ${role}; drop role ${role}`)
    })

    await pool.query('select commandbus.grant_client($1)', [role])

    const { rows } = await pool.query(
      `select has_schema_privilege($1, 'commandbus', 'usage') as may`,
      [role],
    )
    t.strictSame(rows, [{ may: true }])
  })
})
