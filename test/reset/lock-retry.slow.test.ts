import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { type Test, test } from 'tap'
import { waitUntilBlocked } from '../support/sessions.ts'
import { compareSnapshots, takeSnapshot } from './snapshot.ts'
import { connect, createResetWorld, type ResetWorld, readPid } from './world.ts'

const SEND = `insert into commandbus.audit (domain, command_id, event_type)
              values ('payments', gen_random_uuid(), 'SENT')`

test('the rows of a writer that commits while the reset waits are deleted', async (t) => {
  const { world, other } = await arrange(t)
  const before = await takeSnapshot(world.pool)
  // The reset has to see rows that were committed after it started.
  await world.pool.query(
    `alter database ${world.name} set default_transaction_isolation to 'repeatable read'`,
  )
  await other.query(`begin isolation level read committed; ${SEND}`)
  const reset = world.reset({ lockTimeoutMs: 10_000 })
  await waitUntilBlocked(world.pool, 'reset_data')

  await other.query(`${SEND}; commit`)
  await reset

  t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [])
})

test('a reset does not wait for an open reader, and deletes the rows of a large table', async (t) => {
  const { world, other } = await arrange(t)
  const before = await takeSnapshot(world.pool)
  await world.pool.query(
    `insert into commandbus.audit (domain, command_id, event_type)
     select 'payments', gen_random_uuid(), 'SENT' from generate_series(1, 20000)`,
  )
  await other.query('begin; select count(*) from commandbus.audit; select * from e2e.config')

  await world.reset({ lockTimeoutMs: 0 })

  await other.query('commit')
  t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [])
})

test('readers are not blocked while the reset waits for a writer', async (t) => {
  const { world, other } = await arrange(t)
  await other.query(`begin; ${SEND}`)
  const reset = world.reset({ lockTimeoutMs: 10_000 })
  await waitUntilBlocked(world.pool, 'reset_data')

  const reader = await connect(world.url)
  await reader.query(`set lock_timeout to '1ms'; select count(*) from commandbus.audit;
                      select * from e2e.config; select * from pgmq.metrics_all()`)

  await reader.end()
  await other.query('rollback')
  await reset
})

test('a reader of a new queue blocks the reset, but no other reader, and is reported', async (t) => {
  const { world, other } = await arrange(t)
  await world.pool.query(`select pgmq.create('made_since')`)
  await other.query('begin; select * from pgmq.q_made_since')
  const answer = world.reset({ lockTimeoutMs: 300 }).catch((cause) => cause)

  const reader = await connect(world.url)
  await reader.query(`set lock_timeout to '200ms'; select * from pgmq.q_made_since`)
  await reader.end()
  const error = await answer

  t.match(error, { code: 'locked', statusCode: 423 })
  t.match(error.extensions.blockers, [{ pid: await readPid(other) }])
  await other.query('commit')
  await world.reset()
})

test('a blocker is reported after the lock timeout, with its query', async (t) => {
  const { world, other } = await arrange(t)
  await other.query(`set application_name to 'a worker'; begin; ${SEND}`)

  const error = await world.reset({ lockTimeoutMs: 100 }).catch((cause) => cause)

  t.match(error, { code: 'locked', statusCode: 423 })
  const [blocker] = error.extensions.blockers
  t.match(blocker, {
    pid: await readPid(other),
    application: 'a worker',
    state: 'idle in transaction',
  })
  t.ok(blocker.ageMs >= 100)
  t.match(blocker.query, /insert into commandbus.audit/)
  t.equal((await world.pool.query('select from commandbus.audit')).rowCount, 0)
})

test('a blocker is terminated if requested, and reported', async (t) => {
  const { world, other } = await arrange(t)
  await other.query(`begin; ${SEND}`)
  const pid = await readPid(other)

  const { terminated } = await world.reset({ lockTimeoutMs: 100, terminateBlockers: true })

  t.match(terminated, [{ pid }])
  const session = await world.pool.query('select from pg_stat_activity where pid = $1', [pid])
  t.equal(session.rowCount, 0)
  t.equal((await world.pool.query('select from commandbus.audit')).rowCount, 0)
})

test('a prepared transaction is reported by its gid, and rolled back if requested', async (t) => {
  const { world, other } = await arrange(t)
  const gid = `it's ${world.name}`
  t.teardown(() =>
    world.pool.query(`rollback prepared '${gid.replace("'", "''")}'`).catch(() => {}),
  )
  await other.query(`begin; ${SEND}; prepare transaction '${gid.replace("'", "''")}'`)

  const error = await world.reset({ lockTimeoutMs: 50 }).catch((cause) => cause)
  t.match(error.extensions.blockers, [{ pid: null, gid }])
  const { terminated } = await world.reset({ lockTimeoutMs: 50, terminateBlockers: true })

  t.match(terminated, [{ gid }])
  t.equal(
    (await world.pool.query('select from pg_prepared_xacts where gid = $1', [gid])).rowCount,
    0,
  )
})

test('a blocker that the role may not terminate is reported as such, and lives on', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: 'create table public.things (amount int); grant insert on public.things to public',
    asOwner: true,
  })
  const other = await connect(world.url)
  t.teardown(() => other.end())
  await other.query('begin; insert into public.things values (1)')

  const error = await world
    .reset({ lockTimeoutMs: 100, terminateBlockers: true })
    .catch((cause) => cause)

  t.match(error, { code: 'locked', statusCode: 423 })
  t.match(error.extensions.blockers, [{ pid: await readPid(other), mayNotEnd: true }])
  const untried = await world.reset({ lockTimeoutMs: 50 }).catch((cause) => cause)
  t.match(untried.extensions.blockers, [{ mayNotEnd: true }], 'reported before any attempt')
  await other.query('commit')
  await world.reset()
})

test('a reset whose client has gone stops waiting, and changes nothing', async (t) => {
  const { world, other } = await arrange(t)
  await world.pool.query(SEND)
  await other.query(`begin; ${SEND}`)
  let isWanted = true
  const assertWanted = () => {
    if (!isWanted) throw new Error('not wanted')
  }
  const reset = world.reset({ lockTimeoutMs: 60_000, assertWanted })
  reset.catch(() => {})
  await waitUntilBlocked(world.pool, 'reset_data')

  isWanted = false

  await t.rejects(reset, { message: 'not wanted' })
  await other.query('commit')
  t.equal((await world.pool.query('select from commandbus.audit')).rowCount, 2)
})

test('no transaction becomes the victim of a deadlock with a reset', async (t) => {
  const { world, other } = await arrange(t)
  const third = await connect(world.url)
  t.teardown(() => third.end())
  // The reset locks tables in order of their names: it holds the audit's lock while it waits for e2e.config.
  await other.query(`begin; update e2e.config set value = '1'`)
  const reset = world.reset({ lockTimeoutMs: 20_000 })
  await waitUntilBlocked(world.pool, 'reset_data')

  await other.query(SEND)
  await third.query(`begin; ${SEND}; insert into e2e.config values ('x', '1'); commit`)
  await other.query('commit')

  await reset
  t.equal((await world.pool.query('select from commandbus.audit')).rowCount, 0)
})

test('ten polling clients see no error while resets run', async (t) => {
  const { world } = await arrange(t)
  const before = await takeSnapshot(world.pool)
  let isOver = false
  let polls = 0
  const poll = async (number: number) => {
    const client = await connect(world.url)
    while (!isOver) {
      await client.query({ name: 'send', text: `select pgmq.send('payments__commands', '{}')` })
      const { rows } = await client.query({
        name: 'read',
        text: `select msg_id from pgmq.read('payments__commands', $1, 2)`,
        values: [number % 2],
      })
      for (const { msg_id } of rows) {
        await client.query(`select pgmq.archive('payments__commands', $1::bigint)`, [msg_id])
      }
      await client.query(SEND)
      polls += 1
    }
    await client.end()
  }
  const clients = Array.from({ length: 10 }, (_, number) => poll(number))

  try {
    for (let resets = 0; resets < 20; resets += 1) {
      await world.reset({ lockTimeoutMs: 10_000 })
      await sleep(10)
    }
  } finally {
    isOver = true
    await Promise.all(clients)
  }
  await world.reset()

  t.ok(polls > 20, `${polls} polls`)
  t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [])
})

async function arrange(t: Test): Promise<{ world: ResetWorld; other: Client }> {
  const world = await createResetWorld(t, { from: 'migrated' })
  const other = await connect(world.url)
  t.teardown(() => other.end().catch(() => {}))
  // Generates the function, so that the test meets the reset itself.
  await world.reset()
  return { world, other }
}
