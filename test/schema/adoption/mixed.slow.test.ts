// What the set-up of an earlier client does to a database that this project already serves.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Pool } from 'pg'
import { test } from 'tap'
import { describeSchemas } from '../../support/catalog.ts'
import { LEGACY_FUNCTIONS } from '../../support/legacy-names.ts'
import { runMigrations } from '../../support/migrations.ts'
import {
  createOrigin,
  fillOrigin,
  firstFile,
  origins,
  refreshFunctions,
} from '../../support/origins.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { installPythonPackage } from '../../support/python.ts'

const duplicateIndexes = [
  'ix_audit_cmdid_ts',
  'ix_batch_created',
  'ix_batch_status',
  'ix_command_batch',
  'ix_command_status_created',
  'ix_command_status_type',
  'ix_command_updated',
  'uq_command_domain_cmdid',
]

const describe = (pool: Pool) => describeSchemas(pool, ['commandbus', 'e2e'])

test("Flyway's first file replaces eight functions and leaves indexes twice, once", async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  const before = await describe(pool)

  await pool.query(firstFile)
  const after = await describe(pool)

  t.strictSame(namesOf(before, after), { functions: LEGACY_FUNCTIONS, indexes: duplicateIndexes })
  await pool.query(firstFile)
  t.strictSame(await describe(pool), after, 'run again, it changes nothing more')
})

test("Flyway's first file of 0.2.1 and later fails, and changes nothing", async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  const before = await describe(pool)

  await t.rejects(pool.query(`begin; ${firstFile}; ${refreshFunctions.fourColumns}; commit`), {
    code: '42P13',
  })

  t.strictSame(await describe(pool), before)
})

test('the file that is pending on an adopted 0.2.1 database replaces one function', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const additions = origins['Flyway, client 0.2.1'] ?? []
  await createOrigin(pool, additions)
  await fillOrigin(pool, additions)
  await runMigrations(url)
  const before = await describe(pool)

  await pool.query(
    `alter table commandbus.batch add column if not exists failed_count int not null default 0;
     ${refreshFunctions.fiveColumns}`,
  )

  t.strictSame(namesOf(before, await describe(pool)), {
    functions: ['sp_refresh_batch_stats'],
    indexes: [],
  })
})

for (const version of ['0.1.2', '0.1.9', '0.2.0', '0.2.2']) {
  const library = await installPythonPackage('reliable-cmd', version, { dependencies: false })
  const missing = 'missing' in library && library.missing
  if (missing) process.stderr.write(`\n*** not adopted from a real release: ${missing} ***\n\n`)

  test(`what reliable-cmd ${version} sets up is adopted whole`, { skip: missing }, async (t) => {
    if ('missing' in library) return
    const folder = join(library.dir, 'commandbus', 'migrations')
    const files = readdirSync(folder)
      .filter((name) => name.endsWith('.sql'))
      .sort()
    const fresh = await createTestDatabase(t, { from: 'migrated' })
    const expected = await describe(fresh.pool)

    for (const [n, last] of files.entries()) {
      const { url, pool } = await createTestDatabase(t, { from: 'empty' })
      for (const file of files.slice(0, n + 1)) {
        // A connection of its own: the file leaves a search_path behind.
        const client = await pool.connect()
        await client.query(readFileSync(join(folder, file), 'utf8'))
        client.release(true)
      }
      await fillOrigin(pool, n > 0 ? ['failed_count'] : [])

      await runMigrations(url)

      t.strictSame(await describe(pool), expected, `up to ${last}`)
    }
  })
}

const client = await installPythonPackage('reliable-cmd', '0.1.9', { dependencies: true })

test("the package's setup_database()", {
  skip: 'missing' in client && client.missing,
}, async (t) => {
  if ('missing' in client) return

  t.test('before the service: what it makes is adopted', async (t) => {
    const fresh = await createTestDatabase(t, { from: 'migrated' })
    const { url, pool } = await createTestDatabase(t, { from: 'empty' })
    t.equal(await setUp(client.dir, url), 'True')

    await runMigrations(url)

    t.strictSame(await describe(pool), await describe(fresh.pool))
  })

  t.test('after the service: it finds the schema, and changes nothing', async (t) => {
    const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
    const before = await describe(pool)

    t.equal(await setUp(client.dir, url), 'False')

    t.strictSame(await describe(pool), before)
  })

  t.test('told not to skip, it replaces eight functions and leaves indexes twice', async (t) => {
    const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
    const before = await describe(pool)

    t.equal(await setUp(client.dir, url, 'skip_if_exists=False'), 'True')

    t.strictSame(namesOf(before, await describe(pool)), {
      functions: LEGACY_FUNCTIONS,
      indexes: duplicateIndexes,
    })
  })
})

/** Which functions and indexes differ; anything else that differs shows up as itself. */
function namesOf(before: readonly string[], after: readonly string[]) {
  const lines = [
    ...after.filter((line) => !before.includes(line)),
    ...before.filter((line) => !after.includes(line)),
  ]
  const unique = (names: string[]) => [...new Set(names)].sort()
  return {
    functions: unique(
      lines
        .filter((line) => !/^i |^CREATE (UNIQUE )?INDEX /.test(line))
        .map((line) => line.match(/^function commandbus\.(\w+)\(/)?.[1] ?? line),
    ),
    indexes: unique(
      lines.flatMap((line) => line.match(/^CREATE (?:UNIQUE )?INDEX (\w+)/)?.[1] ?? []),
    ),
  }
}

/** What setup_database() returns. */
async function setUp(libraryDir: string, url: string, option = ''): Promise<string> {
  const script = `
import asyncio, os, psycopg
from commandbus import setup_database
async def main():
    async with await psycopg.AsyncConnection.connect(os.environ["CLIENT_DATABASE_URL"]) as connection:
        print(await setup_database(connection, ${option}))
asyncio.run(main())`
  const { stdout } = await promisify(execFile)('python3', ['-c', script], {
    env: { PATH: process.env.PATH, PYTHONPATH: libraryDir, CLIENT_DATABASE_URL: url },
  })
  return stdout.trim()
}
