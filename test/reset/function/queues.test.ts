import { test } from 'tap'
import { connect, createResetWorld } from '../world.ts'

for (const table of ['pgmq.q_made_since', 'pgmq.a_made_since']) {
  test(`a reader of ${table}, of a queue made since the baseline, is named as the blocker`, async (t) => {
    const world = await createResetWorld(t, { from: 'migrated' })
    await world.reset()
    await world.pool.query(`select pgmq.create('made_since')`)
    const reader = await connect(world.url)
    t.teardown(() => reader.end())
    const { rows: readers } = await reader.query('select pg_backend_pid() as pid')
    await reader.query(`begin; select from ${table}`)

    const error = await world.reset({ lockTimeoutMs: 50 }).catch((cause) => cause)

    t.match(error, { code: 'locked', extensions: { blockers: readers } })
    t.equal(error.extensions?.blockers.length, 1)
    await reader.query('commit')
    const { result } = await world.reset()
    t.same(result.queues, { emptied: [], dropped: ['made_since'] })
  })
}
