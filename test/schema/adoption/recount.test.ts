import type { Pool } from 'pg'
import { type Test, test } from 'tap'
import { legacyId } from '../../support/legacy.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createOrigin } from '../../support/origins.ts'
import { createTestDatabase } from '../../support/postgres.ts'

/** Status, total, completed, canceled, failed, in troubleshooting. */
type Batch = readonly [string, number, number, number, number, number]

interface Case {
  readonly name: string
  readonly before: Batch
  /** Statuses of its commands, or of its processes. */
  readonly rows: readonly string[]
  readonly after: Batch
}

const PENDING = 'PENDING'
const IN_PROGRESS = 'IN_PROGRESS'
const COMPLETED = 'COMPLETED'
const CANCELED = 'CANCELED'
const FAILED = 'FAILED'
const TROUBLED = 'IN_TROUBLESHOOTING_QUEUE'
const WITH_FAILURES = 'COMPLETED_WITH_FAILURES'

const commandBatches: readonly Case[] = [
  {
    name: 'client 0.2.0 finished commands without counting them',
    before: [IN_PROGRESS, 4, 0, 0, 0, 0],
    rows: [COMPLETED, COMPLETED, TROUBLED, IN_PROGRESS],
    after: [IN_PROGRESS, 4, 2, 0, 0, 1],
  },
  {
    name: 'an operator moved a command that had not been counted',
    before: [IN_PROGRESS, 3, 0, 1, 0, -1],
    rows: [COMPLETED, CANCELED, IN_PROGRESS],
    after: [IN_PROGRESS, 3, 1, 1, 0, 0],
  },
  {
    name: 'marked complete while a command waits for an operator',
    before: [WITH_FAILURES, 3, 2, 0, 0, 1],
    rows: [COMPLETED, COMPLETED, TROUBLED],
    after: [IN_PROGRESS, 3, 2, 0, 0, 1],
  },
  {
    name: 'a command that a business rule rejected counts, and completes the batch',
    before: [IN_PROGRESS, 2, 1, 0, 0, 0],
    rows: [COMPLETED, FAILED],
    after: [WITH_FAILURES, 2, 1, 0, 1, 0],
  },
  {
    name: 'a failed command that was counted as canceled',
    before: [WITH_FAILURES, 2, 1, 1, 0, 0],
    rows: [COMPLETED, FAILED],
    after: [WITH_FAILURES, 2, 1, 0, 1, 0],
  },
  {
    name: 'marked as complete without failures in spite of a canceled command',
    before: [COMPLETED, 2, 1, 1, 0, 0],
    rows: [COMPLETED, CANCELED],
    after: [WITH_FAILURES, 2, 1, 1, 0, 0],
  },
  {
    name: 'never started in spite of a finished command',
    before: [PENDING, 2, 0, 0, 0, 0],
    rows: [COMPLETED, PENDING],
    after: [IN_PROGRESS, 2, 1, 0, 0, 0],
  },
  {
    name: 'purged with a command in troubleshooting, which counts as canceled',
    before: [COMPLETED, 3, 2, 0, 0, 1],
    rows: [COMPLETED],
    after: [WITH_FAILURES, 3, 2, 1, 0, 0],
  },
  {
    name: 'purged of everything',
    before: [WITH_FAILURES, 5, 3, 1, 0, 1],
    rows: [],
    after: [WITH_FAILURES, 5, 3, 2, 0, 0],
  },
  {
    name: 'purged, with right counters',
    before: [WITH_FAILURES, 3, 1, 1, 1, 0],
    rows: [COMPLETED],
    after: [WITH_FAILURES, 3, 1, 1, 1, 0],
  },
  {
    name: 'purged but for a command that is still running: it keeps its counters',
    before: [COMPLETED, 3, 3, 0, 0, 0],
    rows: [COMPLETED, IN_PROGRESS],
    after: [COMPLETED, 3, 3, 0, 0, 0],
  },
  {
    name: 'purged, with counters beyond its total',
    before: [COMPLETED, 3, 3, 1, 0, 2],
    rows: [],
    after: [COMPLETED, 3, 3, 0, 0, 0],
  },
  {
    name: 'purged, with a negative counter',
    before: [COMPLETED, 3, 3, 0, 0, -1],
    rows: [],
    after: [COMPLETED, 3, 3, 0, 0, 0],
  },
  {
    name: 'unfinished, with rows missing: these were never sent, or are still to come',
    before: [IN_PROGRESS, 5, 3, 0, 0, 0],
    rows: [COMPLETED],
    after: [IN_PROGRESS, 5, 1, 0, 0, 0],
  },
  {
    name: 'with more commands than it announced: completed ones count before failed and canceled ones',
    before: [IN_PROGRESS, 3, 0, 0, 0, 0],
    rows: [CANCELED, FAILED, FAILED, COMPLETED, COMPLETED, TROUBLED],
    after: [WITH_FAILURES, 3, 2, 0, 1, 0],
  },
  {
    name: 'with more commands than it announced: those in troubleshooting count last',
    before: [IN_PROGRESS, 4, 0, 0, 0, 0],
    rows: [COMPLETED, FAILED, CANCELED, TROUBLED, TROUBLED, TROUBLED],
    after: [IN_PROGRESS, 4, 1, 1, 1, 1],
  },
  {
    name: 'an empty batch that was marked complete',
    before: [COMPLETED, 0, 0, 0, 0, 0],
    rows: [],
    after: [COMPLETED, 0, 0, 0, 0, 0],
  },
]

/** WAITING_FOR_OPERATOR is a process that is WAITING, with a command in troubleshooting. */
const processBatches: readonly Case[] = [
  {
    name: 'compensated counts as completed, failed as canceled',
    before: [IN_PROGRESS, 5, 0, 0, 0, 0],
    rows: [COMPLETED, 'COMPENSATED', CANCELED, FAILED, 'WAITING'],
    after: [IN_PROGRESS, 5, 2, 2, 0, 0],
  },
  {
    name: 'marked complete while a process waits for an operator',
    before: [WITH_FAILURES, 2, 1, 0, 0, 1],
    rows: [COMPLETED, 'WAITING_FOR_OPERATOR'],
    after: [IN_PROGRESS, 2, 1, 0, 0, 1],
  },
  {
    name: 'all processes have ended',
    before: [IN_PROGRESS, 2, 1, 0, 0, 0],
    rows: [COMPLETED, 'COMPENSATED'],
    after: [COMPLETED, 2, 2, 0, 0, 0],
  },
  {
    name: 'one process is not pending any more',
    before: [PENDING, 2, 0, 0, 0, 0],
    rows: [PENDING, 'WAITING'],
    after: [IN_PROGRESS, 2, 0, 0, 0, 0],
  },
  {
    name: 'nothing has begun',
    before: [PENDING, 2, 0, 0, 0, 0],
    rows: [PENDING, PENDING],
    after: [PENDING, 2, 0, 0, 0, 0],
  },
  {
    name: 'purged with a process in troubleshooting, which counts as canceled',
    before: [WITH_FAILURES, 3, 2, 0, 0, 1],
    rows: [COMPLETED],
    after: [WITH_FAILURES, 3, 2, 1, 0, 0],
  },
  {
    name: 'more processes than announced',
    before: [IN_PROGRESS, 2, 0, 0, 0, 0],
    rows: [CANCELED, COMPLETED, COMPLETED],
    after: [COMPLETED, 2, 2, 0, 0, 0],
  },
]

for (const [type, cases] of [
  ['COMMAND', commandBatches],
  ['PROCESS', processBatches],
] as const) {
  test(`${type} batches of an earlier client are counted again, and what changed is reported`, async (t) => {
    const { url, pool } = await createBatches(t, type, cases)

    const warnings = await runMigrations(url)

    for (const [n, { name, after }] of cases.entries()) {
      t.strictSame(await load(pool, n), after, name)
    }
    const changed = [...cases.entries()].filter(
      ([, { before, after }]) => `${before}` !== `${after}`,
    )
    const { rows: report } = await pool.query({
      text: `select details ->> 'batch_id',
                    array(select details -> 'before' ->> key from unnest($1::text[]) as key),
                    array(select details -> 'after' ->> key from unnest($1::text[]) as key)
               from commandbus.adoption_report where details ? 'batch_id' order by 1`,
      values: [counters],
      rowMode: 'array',
    })
    t.strictSame(
      report,
      changed.map(([n, { before, after }]) => [
        legacyId('b', n),
        withoutTotal(before),
        withoutTotal(after),
      ]),
    )
    t.equal(warnings.length, 1)
    t.match(warnings[0], new RegExp(`counters of ${changed.length} batches`))

    const adopted = await Promise.all(cases.map((_, n) => load(pool, n)))
    await pool.query(
      'select commandbus.sp_refresh_batch_stats(domain, batch_id) from commandbus.batch',
    )
    t.strictSame(
      await Promise.all(cases.map((_, n) => load(pool, n))),
      adopted,
      'a refresh finds nothing to change',
    )

    const { rows: times } = await pool.query(
      `select count(*) filter (where (status like 'COMPLETED%') <> (completed_at is not null)
                                 and total_count > 0)::int as wrong_end,
              count(*) filter (where status <> 'PENDING' and started_at is null
                                 and total_count > 0)::int as wrong_start
         from commandbus.batch
        where batch_id = any (select (details ->> 'batch_id')::uuid from commandbus.adoption_report)`,
    )
    t.strictSame(times, [{ wrong_end: 0, wrong_start: 0 }], 'the times follow the status')

    const { rows: completed } = await pool.query(
      `select command_id from commandbus.audit where event_type = 'BATCH_COMPLETED' order by 1`,
    )
    const completes = changed.filter(
      ([, { before, after }]) => !isComplete(before) && isComplete(after),
    )
    t.strictSame(
      completed.map((row) => row.command_id),
      type === 'PROCESS' ? [] : completes.map(([n]) => legacyId('b', n)),
      'completions are audited, but for processes',
    )
  })
}

test('commands of a purged batch, and those that name a PROCESS batch, are not counted again', async (t) => {
  const { url, pool } = await createBatches(t, 'COMMAND', [
    {
      name: '',
      before: [COMPLETED, 3, 2, 0, 0, 1],
      rows: [TROUBLED],
      after: [COMPLETED, 0, 0, 0, 0, 0],
    },
  ])
  await pool.query(
    `insert into commandbus.batch (domain, batch_id, status, total_count, batch_type)
     values ('payments', $1, 'PENDING', 2, 'PROCESS')`,
    [legacyId('b', 9)],
  )
  await pool.query(
    `insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
     select 'payments', 'q', gen_random_uuid(), 'Debit', status, 3, $1
       from unnest(array['COMPLETED', 'IN_TROUBLESHOOTING_QUEUE', 'PENDING']) as status`,
    [legacyId('b', 9)],
  )

  await runMigrations(url)

  const { rows } = await pool.query({
    text: `select batch_id, status, counted_as from commandbus.command order by 1, 2`,
    rowMode: 'array',
  })
  t.strictSame(
    rows,
    [
      [legacyId('b', 0), TROUBLED, CANCELED],
      [legacyId('b', 9), COMPLETED, null],
      [legacyId('b', 9), TROUBLED, null],
      // Its status counts nothing.
      [legacyId('b', 9), PENDING, 'AS_STATUS'],
    ].sort(),
  )
  await pool.query(`select commandbus.sp_tsq_retry('payments', $1)`, [legacyId('b', 0)])
  t.strictSame(await load(pool, 0), [WITH_FAILURES, 3, 2, 1, 0, 0])
})

const counters = [
  'status',
  'completed_count',
  'canceled_count',
  'failed_count',
  'in_troubleshooting_count',
]

const withoutTotal = ([status, , ...counts]: Batch) => [status, ...counts.map(String)]
const isComplete = ([status]: Batch) => status.startsWith('COMPLETED')

async function createBatches(t: Test, type: 'COMMAND' | 'PROCESS', cases: readonly Case[]) {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, ['batch_type', 'process_batch_id', 'failed_count'])
  for (const [n, { before, rows }] of cases.entries()) {
    await pool.query(
      `insert into commandbus.batch (domain, batch_id, batch_type, status, total_count, completed_count,
         canceled_count, failed_count, in_troubleshooting_count, completed_at)
       values ('payments', $1, $2, $3, $4, $5, $6, $7, $8,
               case when $3 like 'COMPLETED%' then timestamptz '2025-01-03Z' end)`,
      [legacyId('b', n), type, ...before],
    )
    for (const status of rows) await insert(pool, type, legacyId('b', n), status)
  }
  return { url, pool }
}

async function insert(pool: Pool, type: 'COMMAND' | 'PROCESS', batchId: string, status: string) {
  if (type === 'COMMAND') {
    await pool.query(
      `insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
       values ('payments', 'payments__commands', gen_random_uuid(), 'Debit', $1, 3, $2)`,
      [status, batchId],
    )
    return
  }
  const waits = status === 'WAITING_FOR_OPERATOR'
  const { rows } = await pool.query(
    `insert into commandbus.process (domain, process_id, process_type, status, batch_id)
     values ('payments', gen_random_uuid(), 'Transfer', $1, $2) returning process_id`,
    [waits ? 'WAITING' : status, batchId],
  )
  if (!waits) return
  await pool.query(
    `insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts, correlation_id)
     values ('payments', 'payments__commands', gen_random_uuid(), 'Debit', 'IN_TROUBLESHOOTING_QUEUE', 3, $1)`,
    [rows[0].process_id],
  )
}

async function load(pool: Pool, n: number): Promise<Batch> {
  const { rows } = await pool.query({
    text: `select status, total_count, completed_count, canceled_count, failed_count, in_troubleshooting_count
             from commandbus.batch where batch_id = $1`,
    values: [legacyId('b', n)],
    rowMode: 'array',
  })
  return rows[0] as unknown as Batch
}
