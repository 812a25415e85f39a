// No procedure reads a whole table: each is called beside 100,000 rows of its domain in every table.
import type { Pool } from 'pg'
import { test } from 'tap'
import { createTestDatabase } from '../../support/postgres.ts'
import { withTransaction } from '../../support/sessions.ts'
import { type Bus, createBus } from './bus.ts'
import { type Scan, scansOf } from './plans.ts'

const ROWS = 100_000
/** Its counters are in rows of their own. */
const LARGE = 1_200
/** From the sixth call on, PostgreSQL keeps one plan for any arguments. */
const CALLS = 7

const TABLES = ['command', 'batch', 'audit', 'process']

/** A batch with commands that were received, or with processes. */
interface Subject {
  readonly batchId: string
  readonly commandId: string
}

interface Procedure {
  readonly prepare?: (bus: Bus, subject: Subject) => Promise<unknown>
  readonly call: (bus: Bus, subject: Subject) => Promise<unknown>
  readonly type?: 'PROCESS'
}

const inTroubleshooting = async (bus: Bus, { commandId }: Subject) => {
  await bus.receive(commandId)
  await bus.finish(commandId, 'IN_TROUBLESHOOTING_QUEUE')
}
const settled = (move: 'complete' | 'cancel' | 'retry', status: string): Procedure => ({
  async prepare(bus, subject) {
    await inTroubleshooting(bus, subject)
    await bus.set(subject.commandId, status)
  },
  call: (bus, { batchId }) => bus.settle(batchId, move),
})
const finished = (status: string): Procedure => ({
  prepare: (bus, { commandId }) => bus.receive(commandId),
  call: (bus, { commandId }) => bus.finish(commandId, status),
})

/** How each procedure is called, in each of its ways. */
const PROCEDURES: Readonly<Record<string, Readonly<Record<string, Procedure>>>> = {
  sp_receive_command: { '': { call: (bus, { commandId }) => bus.receive(commandId) } },
  sp_finish_command: {
    completed: finished('COMPLETED'),
    failed: finished('FAILED'),
    troubled: finished('IN_TROUBLESHOOTING_QUEUE'),
    pending: finished('PENDING'),
  },
  sp_fail_command: {
    '': {
      prepare: (bus, { commandId }) => bus.receive(commandId),
      call: (bus, { commandId }) => bus.fail(commandId),
    },
  },
  sp_start_batch: { '': { call: (bus, { batchId }) => bus.startBatch(batchId) } },
  sp_update_batch_counters: {
    '': {
      prepare: (bus, { batchId }) => bus.startBatch(batchId),
      call: (bus, { batchId }) => bus.updateCounters(batchId, 'complete'),
    },
  },
  sp_tsq_complete: { '': settled('complete', 'COMPLETED') },
  sp_tsq_cancel: { '': settled('cancel', 'CANCELED') },
  sp_tsq_retry: { '': settled('retry', 'PENDING') },
  sp_refresh_batch_stats: {
    commands: {
      prepare: (bus, { batchId }) => bus.startBatch(batchId),
      call: (bus, { batchId }) => bus.refresh(batchId),
    },
    processes: { type: 'PROCESS', call: (bus, { batchId }) => bus.refresh(batchId) },
  },
}

test('no procedure reads a whole table', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  await fill(pool)
  const { rows } = await pool.query<{ name: string }>(
    `select proname as name from pg_proc
      where pronamespace = 'commandbus'::regnamespace and proname like 'sp\\_%' order by 1`,
  )
  t.strictSame(
    Object.keys(PROCEDURES).sort(),
    rows.map(({ name }) => name),
  )

  for (const [name, ways] of Object.entries(PROCEDURES)) {
    for (const [way, procedure] of Object.entries(ways)) {
      for (const size of [3, LARGE]) {
        await t.test(`${name} ${way}, a batch of ${size}`, async (t) => {
          const scans = await withTransaction(pool, async (session) => {
            const bus = createBus(session, 'big')
            let found: Scan[] = []
            for (let number = 0; number < CALLS; number++) {
              const subject = await createSubject(bus, procedure, size)
              await procedure.prepare?.(bus, subject)
              found = await scansOf(session.client, () => procedure.call(bus, subject))
            }
            return found
          })

          t.ok(scans.length > 0, 'plans were seen')
          t.strictSame(scans.filter(isOfWholeTable), [])
        })
      }
    }
  }

  await t.test('and one that did would be noticed', async (t) => {
    const scans = await withTransaction(pool, (session) =>
      scansOf(session.client, () =>
        session.query('select count(last_error_msg) from commandbus.command'),
      ),
    )
    t.equal(scans.filter(isOfWholeTable).length, 1)
  })
})

/** It reads a table in its own order, or by an index far more than the largest batch has. */
function isOfWholeTable({ relation, node, rows }: Scan): boolean {
  return TABLES.includes(relation) && (node === 'Seq Scan' || rows > 10 * LARGE)
}

async function createSubject(bus: Bus, { type }: Procedure, size: number): Promise<Subject> {
  const batchId = await bus.batch({ total: size, ...(type !== undefined && { type }) })
  if (type === 'PROCESS') {
    for (let number = 0; number < Math.min(size, 20); number++) await bus.process({ batchId })
    return { batchId, commandId: '' }
  }
  const [commandId = ''] = await bus.commands(size, { batchId })
  return { batchId, commandId }
}

/** Fills the tables with rows of one domain, in every status, and lets the planner know them. */
async function fill(pool: Pool): Promise<void> {
  const client = await pool.connect()
  try {
    // No triggers, and no checks of keys: what they would do is not the subject.
    await client.query('set session_replication_role = replica')
    const numbers = `generate_series(1, ${ROWS}) as n`
    const id = `md5(n::text)::uuid`
    const status = (...all: string[]) => `('{${all.join()}}'::text[])[1 + n % ${all.length}]`
    await client.query(`
      insert into commandbus.batch (domain, batch_id, total_count, status, batch_type)
      select 'big', ${id}, 1, ${status('PENDING', 'IN_PROGRESS', 'COMPLETED')}, ${status('COMMAND', 'PROCESS')} from ${numbers};
      insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
      select 'big', 'big__commands', ${id}, 'Pay', ${status('PENDING', 'IN_PROGRESS', 'COMPLETED', 'IN_TROUBLESHOOTING_QUEUE')}, 3, ${id} from ${numbers};
      insert into commandbus.audit (domain, command_id, event_type) select 'big', ${id}, 'SENT' from ${numbers};
      insert into commandbus.process (domain, process_id, process_type, status, batch_id)
      select 'big', ${id}, 'Ship', ${status('PENDING', 'WAITING', 'COMPLETED')}, ${id} from ${numbers};
      insert into commandbus.process_audit (domain, process_id, step_name, command_id, command_type, sent_at)
      select 'big', ${id}, 'ship', ${id}, 'Pay', now() from ${numbers};
      reset session_replication_role`)
    await client.query('analyze')
  } finally {
    client.release()
  }
}
