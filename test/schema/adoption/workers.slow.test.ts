import type { Pool } from 'pg'
import { test } from 'tap'
import { createLegacySchema } from '../../support/legacy.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { createTestRole } from '../../support/roles.ts'
import { type Session, withTransaction } from '../../support/sessions.ts'
import { createBus, sqlstateOf } from '../commandbus/bus.ts'

const allColumns = 'select, insert, update'
const someColumns = `select, insert, update (status, attempts, updated_at,
  last_error_type, last_error_code, last_error_msg)`

test('a worker of a database without batches can use the new ones', async (t) => {
  const { pool, worker } = await adopt(t, { batches: false, rights: allColumns })

  await withTransaction(pool, async (client) => {
    await client.query(`set local role ${worker}`)
    t.equal(await runProcedures(client, client, 1001), true)
  })

  const { rows } = await pool.query(
    `select has_table_privilege($1, 'commandbus.batch', 'delete') as more,
            has_table_privilege($1, 'commandbus.payload_archive', 'select') as others`,
    [worker],
  )
  t.strictSame(rows, [{ more: false, others: false }], 'it has no more than it had on commands')
})

for (const [what, rights] of [
  ['commands', allColumns],
  ['some columns of commands', someColumns],
]) {
  test(`a worker with rights on ${what}, none on batches, can run every procedure`, async (t) => {
    const { pool, worker } = await adopt(t, { batches: true, rights: String(rights) })

    await withTransaction(pool, async (client) => {
      await client.query(`set local role ${worker}`)
      t.equal(await runProcedures(client, pool, 1001), true)
    })

    const announce = withTransaction(pool, async (client) => {
      await client.query(`set local role ${worker}`)
      await createBus(client).batch({ total: 1 })
    })
    t.equal(await sqlstateOf(announce), '42501', 'it still may not announce batches')
  })
}

interface Teardown {
  teardown(work: () => Promise<void>): unknown
}

interface Given {
  readonly batches: boolean
  /** On commands. */
  readonly rights: string
}

/** An adopted database, and a role that had rights on nothing but commands and audit in it. */
async function adopt(t: Teardown, { batches, rights }: Given) {
  const worker = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool, { batches })
  await pool.query(
    `grant ${rights} on public.command_bus_command to ${worker};
     grant insert on public.command_bus_audit to ${worker};
     grant usage on sequence public.command_bus_audit_audit_id_seq to ${worker}`,
  )
  await runMigrations(url)
  return { pool, worker }
}

/** Takes a batch of commands to its end, by way of every procedure; whether it is complete then. */
async function runProcedures(
  client: Session,
  announcer: Pool | Session,
  total: number,
): Promise<boolean> {
  const bus = createBus(client)
  const batchId = await bus.on(announcer).batch({ total })
  const ids = await bus.on(announcer).commands(total, { batchId })
  const [first, second, third] = ids as [string, string, string]
  await bus.startBatch(batchId)
  await bus.receive(first)
  await client.query(`select commandbus.sp_fail_command($1, $2, 'T', 'C', 'M', 1, 3, 1)`, [
    bus.domain,
    first,
  ])
  for (const [id, move, status] of [
    [first, 'retry', 'PENDING'],
    [second, 'cancel', 'CANCELED'],
    [third, 'complete', 'COMPLETED'],
  ] as const) {
    await bus.finish(id, 'IN_TROUBLESHOOTING_QUEUE')
    await bus.set(id, status)
    await bus.settle(batchId, move)
  }
  await bus.updateCounters(batchId, 'tsq_retry')
  let isComplete = false
  for (const id of ids) isComplete = (await bus.finish(id, 'COMPLETED')) || isComplete
  await bus.exactCounts(batchId)
  return isComplete
}
