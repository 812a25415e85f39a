import { type AddressInfo, createServer } from 'node:net'
import pino from 'pino'
import { test } from 'tap'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { createSessions } from '../../src/postgres/sessions.ts'
import { openFirstSession } from '../../src/service/first-session.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'

function open(url: string, waits: string[], databaseWaitMs = 5000) {
  const log = pino({ level: 'silent' })
  const sessions = createSessions({ readUrl: () => url, log })
  return openFirstSession({
    config: { databaseWaitMs },
    database: { url, sessions },
    log,
    signal: new AbortController().signal,
    onWait: (detail) => waits.push(detail),
  })
}

test('a failed first attempt is reported only once the session is waited for', async (t) => {
  let attempts = 0
  const server = createServer((socket) => {
    attempts++
    socket.on('error', () => {}).destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const waits: string[] = []

  const first = open(`postgres://user:secret@127.0.0.1:${port}/none`, waits, 1)
  await until('the first attempt was made', () => attempts > 0)
  t.strictSame(waits, [])

  await t.rejects(first.wait(), { code: 'database_not_reached' })
  t.ok(waits.length > 0)
})

test('one attempt is enough for a database that answers', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const count = async () => {
    const { rows } = await pool.query<{ sessions: number }>(
      `select count(*)::int as sessions from pg_stat_activity
        where datname = current_database() and application_name = 'commandbus-db lock'`,
    )
    return rows[0]?.sessions
  }
  const first = open(url, [])
  await until('the session is open', async () => (await count()) === 1)

  const { client }: { client: SessionClient } = await first.wait()

  t.equal(await count(), 1)
  await client.end()
})

test('a session that nothing waits for is closed', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const count = async () =>
    (await pool.query("select from pg_stat_activity where application_name = 'commandbus-db lock'"))
      .rowCount
  const before = await count()
  const first = open(url, [])

  first.abandon()

  await until('it was open, or will be, and is closed', async () => (await count()) === before)
  t.pass()
})
