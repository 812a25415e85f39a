// A save on a server that has plpgsql_check: the loop warns of what PostgreSQL finds out only when the function runs.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { prepareRecorder } from '../../src/drift/prepare.ts'
import { openClient } from '../../src/postgres/client.ts'
import { createTerminal } from '../dev/loop/terminal.ts'
import { needsPlpgsqlCheck, startPostgres15 } from '../support/debian-server.ts'
import { installStandIn } from '../support/migrated-15.ts'

test('a save warns of a misspelt column in PL/pgSQL', needsPlpgsqlCheck, async (t) => {
  const url = await startPostgres15(t)
  await installStandIn(url)
  const client = await openClient(url, 'test')
  t.teardown(() => client.end())
  const { migrationsDir, runner, takeShown } = createTerminal(t, { url })
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

  const shown = takeShown()
  t.match(shown, `warning: migrations/${file}:`)
  t.match(shown, 'totl_count')
  const { rows } = await client.query(
    "select from pg_extension where extname = 'plpgsql_check' union all select from pg_namespace where nspname ~ 'body_check'",
  )
  t.strictSame(rows, [], 'nothing of the check is left')
})
