// The same with the token of the test databases, which the other test keeps from it: databases are lent.
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startLending, TOKEN } from '../test-databases/lending.ts'
import { FAILURE, installSchemathesis, runSchemathesis, SEED } from './run-schemathesis.ts'

const MAX = 4
const REQUESTS = 500
const EXAMPLES = 300
const PAUSE_MS = 100

const schemathesis = await installSchemathesis()
const skip = 'missing' in schemathesis && `NOT TESTED: ${schemathesis.missing}`

test('requests of Schemathesis to /databases are answered as described, and leave nothing lent', {
  skip,
}, async (t) => {
  if ('missing' in schemathesis) return
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const service = await startLending(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, ['create table public.item (id int);']),
    TEST_DATABASES_MAX: String(MAX),
    LOG_LEVEL: 'info',
  })
  const { msg } = await service.waitForLog('listening at')
  const address = msg.slice('listening at '.length)
  let isOver = false
  let returned = 0
  // Nothing that it borrows does it return, and a request may wait for ten minutes.
  async function giveAllBack(): Promise<void> {
    while (!isOver) {
      const { body: leases } = await service.call('GET', '/databases')
      for (const lease of leases) {
        const { status } = await service.call('DELETE', `/databases/${lease.id}`)
        if (status === 204) returned += 1
      }
      await sleep(PAUSE_MS)
    }
  }

  const returning = giveAllBack()
  const { report, requests } = await runSchemathesis({
    ...{ ...schemathesis, address, token: TOKEN, folder: t.testdir() },
    ...{ examples: EXAMPLES, paths: '^/databases' },
    // Which numbers of migrations there are, the description cannot know.
    without: 'positive_data_acceptance',
  }).finally(() => {
    isOver = true
  })
  await returning

  t.comment(`FUZZ_SEED=${SEED}, ${requests} requests, ${returned} databases lent`)
  t.ok(requests >= REQUESTS, report)
  t.ok(returned >= 10, 'databases were lent')
  t.notMatch(report, FAILURE)
  const { body: left } = await service.call('GET', '/databases')
  for (const lease of left) await service.giveBack(lease)
  await service.waitForCounts({ lent: 0 })
  const errors = service.log().filter(({ level }) => level === 'error' || level === 'fatal')
  t.strictSame(errors, [])
  t.match(await service.stop(), { code: 0 })
})
