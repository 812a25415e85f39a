import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'
import { withTransaction } from '../../../support/sessions.ts'
import { createBus } from '../bus.ts'

interface Counted {
  readonly status: string | null
  readonly completed: number | null
  readonly canceled: number | null
  readonly troubled: number | null
  readonly started: boolean
  readonly ended: boolean
}

async function count(
  db: Queryable,
  domain: string | null,
  batchId: string | null,
): Promise<Counted | undefined> {
  const { rows } = await db.query<Counted>(
    `select counted.status, counted.completed_count as completed, counted.canceled_count as canceled,
            counted.in_troubleshooting_count as troubled, counted.started_at is not null as started,
            counted.completed_at is not null as ended
       from commandbus.count_processes($1, $2) as counted`,
    [domain, batchId],
  )
  return rows[0]
}

async function batchOf(db: Queryable, statuses: readonly string[], total = statuses.length) {
  const bus = createBus(db)
  const batchId = await bus.batch({ total, type: 'PROCESS' })
  const ids: string[] = []
  for (const status of statuses) ids.push(await bus.process({ batchId, status }))
  return { bus, batchId, ids }
}

test('count_processes', async (t) => {
  const { pool, rolledBack } = await openProcedureDatabase(t)

  const of = (status: string, counts: Partial<Counted>) => ({
    status,
    completed: 0,
    canceled: 0,
    troubled: 0,
    started: status !== 'PENDING',
    ended: status.startsWith('COMPLETED'),
    ...counts,
  })
  for (const [statuses, expected] of [
    [['PENDING', 'PENDING'], of('PENDING', {})],
    [['PENDING', 'WAITING'], of('IN_PROGRESS', {})],
    [['COMPLETED', 'PENDING'], of('IN_PROGRESS', { completed: 1 })],
    [['COMPLETED', 'COMPENSATED'], of('COMPLETED', { completed: 2 })],
    [['COMPLETED', 'CANCELED'], of('COMPLETED_WITH_FAILURES', { completed: 1, canceled: 1 })],
    [['FAILED', 'FAILED'], of('COMPLETED_WITH_FAILURES', { canceled: 2 })],
  ] as const) {
    t.test(
      `of processes that are ${statuses.join(' and ')}, the batch is ${expected.status}`,
      rolledBack(async (t, db) => {
        const { bus, batchId } = await batchOf(db, statuses)

        t.strictSame(await count(db, bus.domain, batchId), expected)
        t.match(await bus.counts(batchId), { status: expected.status, failed: 0 })
      }),
    )
  }

  t.test(
    'a process with two commands in troubleshooting counts there once, and not when it has ended',
    rolledBack(async (t, db) => {
      const { bus, batchId, ids } = await batchOf(db, ['WAITING', 'WAITING', 'CANCELED'])
      for (const id of [ids[0], ids[0], ids[2]] as string[]) {
        await bus.command({ correlationId: id, status: 'IN_TROUBLESHOOTING_QUEUE' })
      }
      await bus.command({ correlationId: ids[1] as string, status: 'PENDING' })

      t.match(await count(db, bus.domain, batchId), { troubled: 1, canceled: 1 })
    }),
  )

  t.test(
    'counts no more than the announced total, and completes no batch of 0',
    rolledBack(async (t, db) => {
      const statuses = ['COMPLETED', 'CANCELED', 'FAILED', 'WAITING']
      for (const [total, completed, canceled, troubled] of [
        [0, 0, 0, 0],
        [1, 1, 0, 0],
        [2, 1, 1, 0],
        [3, 1, 2, 0],
        [4, 1, 2, 1],
      ] as const) {
        const { bus, batchId, ids } = await batchOf(db, statuses, total)
        await bus.command({ correlationId: ids[3] as string, status: 'IN_TROUBLESHOOTING_QUEUE' })

        const status = total === 0 || total === 4 ? 'IN_PROGRESS' : /^COMPLETED/
        t.match(await count(db, bus.domain, batchId), { completed, canceled, troubled, status })
      }
    }),
  )

  t.test(
    'a complete batch keeps its counts when processes are deleted, and runs again when one does',
    rolledBack(async (t, db) => {
      const { bus, batchId, ids } = await batchOf(db, ['COMPLETED', 'COMPLETED'])
      const complete = await count(db, bus.domain, batchId)

      await bus.setProcess(ids[0] as string, 'WAITING')
      t.match(await count(db, bus.domain, batchId), of('IN_PROGRESS', { completed: 1 }))
      await bus.setProcess(ids[0] as string, 'COMPLETED')
      t.strictSame(await count(db, bus.domain, batchId), complete)

      await db.query('delete from commandbus.process where process_id = $1', [ids[0]])
      t.strictSame(await count(db, bus.domain, batchId), complete)
    }),
  )

  t.test(
    'keeps the times of the first start and of the completion, and writes nothing that is known',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await batchOf(db, ['COMPLETED'])
      const old = '2026-01-01T00:00:00Z'
      await db.query('update commandbus.batch set started_at = $2 where batch_id = $1', [
        batchId,
        old,
      ])
      const row = async () => {
        const { rows } = await db.query(
          `select ctid::text as version, started_at = $2 as is_first
             from commandbus.batch where batch_id = $1`,
          [batchId, old],
        )
        return rows[0]
      }

      await count(db, bus.domain, batchId)
      const counted = await row()
      await count(db, bus.domain, batchId)

      t.match(counted, { is_first: true })
      t.strictSame(await row(), counted)
    }),
  )

  t.test(
    'counts only processes of the domain, and is null for an unknown batch and for nulls',
    rolledBack(async (t, db) => {
      const { bus, batchId } = await batchOf(db, ['COMPLETED'], 2)
      const elsewhere = createBus(db)
      await elsewhere.process({ batchId, status: 'COMPLETED' })

      t.match(await count(db, bus.domain, batchId), { completed: 1, status: 'IN_PROGRESS' })
      t.match(await count(db, bus.domain, randomUUID()), { status: null })
      t.match(await count(db, null, null), { status: null })
    }),
  )

  t.test('waits for the batch before it counts, so a newer count is not overwritten', async (t) => {
    const { bus, batchId, ids } = await batchOf(pool, ['WAITING', 'WAITING'])

    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (second) => {
        await count(first, bus.domain, batchId)
        const counted = count(second, bus.domain, batchId)
        await second.waitsFor(first)
        await bus.on(first).setProcess(ids[0] as string, 'COMPLETED')
        await first.query('commit')
        t.match(await counted, { completed: 1 })
      })
    })
  })
})
