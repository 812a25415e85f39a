// The recording in the documentation is what the loop says. UPDATE_GOLDEN=1 writes it.
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createReport } from '../../../dev/loop/report.ts'
import { createRunner } from '../../../dev/loop/run.ts'
import { ensureRecorder } from '../../../src/baseline/recorder.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'

const PAGE = join(projectDir, 'docs', 'use', 'changing-the-schema.md')
const RECORDING = /(?<=<!-- recording -->\n\n```text\n)[\s\S]*?(?=```)/

test('the recording of the loop', async (t) => {
  const database = await createTestDatabase(t, { from: 'migrated' })
  await ensureRecorder(database.pool)
  await database.pool.query('select provisioning.record_schema()')
  const migrationsDir = join(createFolder(t), 'migrations')
  cpSync(join(projectDir, 'migrations'), migrationsDir, { recursive: true })
  let recording = ''
  const report = createReport({
    folder: 'migrations',
    color: false,
    write: (text) => {
      recording += text
    },
    now: () => new Date(2026, 10, 26, 9, 5, 7),
  })
  const runner = createRunner({
    ...{ readUrl: () => database.url, databaseName: database.name, lockTimeoutMs: 2000 },
    ...{ migrationsDir, note: report.note, settings: { placeholders: { ':E2E_SCHEMA': 'on' } } },
  })
  t.teardown(runner.close)
  const path = join(migrationsDir, 'fixtures/commandbus/functions/sp_start_batch.sql')
  const committed = readFileSync(path, 'utf8')
  const save = async (what: string, text: string) => {
    recording += `# ${what}\n`
    writeFileSync(path, text)
    const { failure, changes } = await runner.run([path])
    if (failure !== undefined) report.failed(failure)
    // The time is not the same twice.
    else report.applied({ files: ['sp_start_batch.sql'], changes, durationMs: 150 })
  }
  const waiting = committed.replace('p_wait => true', 'p_wait => false')

  await save('sp_start_batch.sql does not wait any more', waiting)
  await save('a mistake', waiting.replace('p_batch_id,', 'p_batch,'))
  await save('git checkout sp_start_batch.sql', committed)

  const page = readFileSync(PAGE, 'utf8')
  if (process.env.UPDATE_GOLDEN) writeFileSync(PAGE, page.replace(RECORDING, recording))
  else t.equal(RECORDING.exec(page)?.[0], recording)
})
