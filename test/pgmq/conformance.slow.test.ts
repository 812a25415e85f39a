// The stand-in for PGMQ against PGMQ itself: one list of sentences that must be true of both.
import { type Test, test } from 'tap'
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts'
import { testAnnouncing } from './announcing.ts'
import { readCatalog } from './catalog.ts'
import { hasStandIn, type Implementation, loadRealPgmq, standIn } from './implementations.ts'
import { testQueues } from './queues.ts'
import { testReceiving } from './receiving.ts'
import { testSending } from './sending.ts'

test('the stand-in and the real PGMQ', async (t) => {
  const real = await loadRealPgmq()
  const empty = await createTestDatabase(t, { from: 'empty' })
  const lacksStandIn = !(await hasStandIn(empty.pool)) && 'the given server has no stand-in'
  const lacksReal = 'missing' in real && real.missing
  for (const reason of [lacksStandIn, lacksReal]) if (reason) warn(reason)

  t.test('the stand-in', { skip: lacksStandIn }, (t) => testAll(t, standIn))
  if (!('missing' in real)) t.test('the real PGMQ', (t) => testAll(t, real))

  t.test('both have the same names', { skip: lacksStandIn || lacksReal }, async (t) => {
    if ('missing' in real) return
    const catalogs = []
    for (const implementation of [standIn, real]) {
      const { pool } = await install(t, implementation)
      await pool.query("select pgmq.create('sample'), pgmq.create_unlogged('swift')")
      catalogs.push(await readCatalog(pool))
    }

    t.strictSame(catalogs[0], catalogs[1])
  })
})

async function testAll(t: Test, implementation: Implementation): Promise<void> {
  const { pool } = await install(t, implementation)
  testQueues(t, pool)
  testSending(t, pool)
  testReceiving(t, pool)
  testAnnouncing(t, pool)
}

async function install(t: Test, implementation: Implementation): Promise<TestDatabase> {
  const database = await createTestDatabase(t, { from: 'empty' })
  await implementation.install(database.pool)
  return database
}

function warn(reason: string): void {
  process.stderr.write(`\n*** PGMQ conformance is incomplete: ${reason} ***\n\n`)
}
