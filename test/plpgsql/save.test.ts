// A save on a server that has plpgsql_check: the loop warns of what PostgreSQL finds out only when the function runs.
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createReport } from '../../dev/loop/report.ts'
import { createRunner } from '../../dev/loop/run.ts'
import { prepareRecorder } from '../../src/drift/prepare.ts'
import { openClient } from '../../src/postgres/client.ts'
import { startPostgres15 } from '../support/debian-server.ts'
import { installStandIn } from '../support/migrated-15.ts'
import { createFolder } from '../support/migrations-folder.ts'
import { projectDir } from '../support/server.ts'

const skip = existsSync('/usr/share/postgresql/15/extension/plpgsql_check.control')
  ? false
  : "NOT TESTED: Debian's package postgresql-15-plpgsql-check is missing"

test('a save warns of a misspelt column in PL/pgSQL', { skip }, async (t) => {
  const url = await startPostgres15(t)
  await installStandIn(url)
  const readUrl = () => url
  const client = await openClient(readUrl(), 'test')
  t.teardown(() => client.end())
  const migrationsDir = join(createFolder(t), 'migrations')
  cpSync(join(projectDir, 'migrations'), migrationsDir, { recursive: true })
  let shown = ''
  const report = createReport({
    ...{ folder: 'migrations', color: false, now: () => new Date(2026, 10, 26, 9, 5, 7) },
    write: (text) => {
      shown += text
    },
  })
  const runner = createRunner({
    ...{
      readUrl,
      databaseName: new URL(url).pathname.slice(1),
      migrationsDir,
      lockTimeoutMs: 2000,
    },
    ...{ note: report.note, warn: report.warned },
    settings: { placeholders: { ':E2E_SCHEMA': 'on' } },
  })
  t.equal((await runner.run([])).failure, undefined)
  await prepareRecorder(client)
  await client.query('select provisioning.record_schema()')
  const file = 'fixtures/commandbus/functions/start_batch.sql'
  const path = join(migrationsDir, file)
  const lines = readFileSync(path, 'utf8').split('\n')
  const index = lines.findIndex((line) => line.includes('total_count'))
  lines[index] = lines[index]?.replace('total_count', 'totl_count') ?? ''
  writeFileSync(path, lines.join('\n'))

  t.equal((await runner.run([file])).failure, undefined)
  await runner.close()

  t.match(shown, `warning: migrations/${file}:`)
  t.match(shown, 'totl_count')
  const { rows } = await client.query(
    "select from pg_extension where extname = 'plpgsql_check' union all select from pg_namespace where nspname ~ 'body_check'",
  )
  t.strictSame(rows, [], 'nothing of the check is left')
})
