import pino from 'pino'
import { test } from 'tap'
import { startToolProcess } from '../../../src/migrations/tool/process.ts'
import { runTool } from '../../../src/migrations/tool/runner.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { describeRun } from '../../support/tool-run.ts'
import { settled } from '../../support/until.ts'

const OPTIONS = { nodeVariables: {}, log: pino({ level: 'silent' }) }

test('a process that was started before there was a job runs it', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const tool = startToolProcess(OPTIONS)
  const run = await describeRun(t, database, ['create table result as select 1 as value;'])

  await runTool({ ...run, tool })

  t.strictSame((await database.pool.query('select value from result')).rows, [{ value: 1 }])
  await settled('the process ends', tool.ended)
})

test('a process that died before it got its job had started nothing', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const tool = startToolProcess(OPTIONS)
  tool.kill()
  t.equal(await settled('the process dies', tool.ended), 'killed by SIGKILL')

  await t.rejects(
    settled('the run fails', runTool({ ...(await describeRun(t, database, ['select 1;'])), tool })),
    { code: 'migration_interrupted', message: /killed by SIGKILL.*nothing had been started/ },
  )
})
