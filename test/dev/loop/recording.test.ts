// The recording in the documentation is what the loop says. UPDATE_GOLDEN=1 writes it.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { projectDir } from '../../support/server.ts'
import { createRecordedDatabase, createTerminal } from './terminal.ts'

const PAGE = join(projectDir, 'docs', 'use', 'changing-the-schema.md')
const RECORDING = /(?<=<!-- recording -->\n\n```text\n)[\s\S]*?(?=```)/

test('the recording of the loop', async (t) => {
  const { url } = await createRecordedDatabase(t)
  const { migrationsDir, runner, report, takeShown } = createTerminal(t, { url })
  let recording = ''
  const path = join(migrationsDir, 'fixtures/commandbus/functions/sp_start_batch.sql')
  const committed = readFileSync(path, 'utf8')
  const save = async (what: string, text: string) => {
    recording += `# ${what}\n`
    writeFileSync(path, text)
    const { failure, changes } = await runner.run([path])
    if (failure !== undefined) report.failed(failure)
    // The time is not the same twice.
    else report.applied({ files: ['sp_start_batch.sql'], changes, durationMs: 150 })
    recording += takeShown()
  }
  const waiting = committed.replace('p_wait => true', 'p_wait => false')

  await save('sp_start_batch.sql does not wait any more', waiting)
  await save('a mistake', waiting.replace('p_batch_id,', 'p_batch,'))
  await save('git checkout sp_start_batch.sql', committed)

  const page = readFileSync(PAGE, 'utf8')
  if (process.env.UPDATE_GOLDEN) writeFileSync(PAGE, page.replace(RECORDING, recording))
  else t.equal(RECORDING.exec(page)?.[0], recording)
})
