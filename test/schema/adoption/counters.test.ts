import type { Pool } from 'pg'
import { test } from 'tap'
import { createLegacySchema, fillLegacyTables, legacyId } from '../../support/legacy.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createTestDatabase } from '../../support/postgres.ts'

/** Status, total, completed, canceled, in troubleshooting. */
type Batch = readonly [string, number, number, number, number]

interface Case {
  readonly name: string
  readonly before: Batch
  readonly commands: readonly string[]
  readonly after: Batch
}

const C = 'COMPLETED'
const X = 'CANCELED'
const T = 'IN_TROUBLESHOOTING_QUEUE'
const I = 'IN_PROGRESS'
const P = 'PENDING'
const F = 'COMPLETED_WITH_FAILURES'

const cases: readonly Case[] = [
  {
    name: 'a negative counter is recounted',
    before: [I, 3, 1, 0, -1],
    commands: [C, I, T],
    after: [I, 3, 1, 0, 1],
  },
  {
    name: 'a command that was counted twice is counted once',
    before: [I, 3, 2, 0, 0],
    commands: [C, I, I],
    after: [I, 3, 1, 0, 0],
  },
  {
    name: 'counters above total_count are recounted',
    before: [I, 2, 3, 0, 0],
    commands: [C, I],
    after: [I, 2, 1, 0, 0],
  },
  {
    name: 'a batch whose last command finished uncounted is complete',
    before: [I, 2, 1, 0, 1],
    commands: [C, X],
    after: [F, 2, 1, 1, 0],
  },
  {
    name: 'a batch with right counters and the wrong status is complete',
    before: [I, 2, 2, 0, 0],
    commands: [C, C],
    after: [C, 2, 2, 0, 0],
  },
  {
    name: 'a batch that was marked complete too early runs again',
    before: [C, 2, 2, 0, 0],
    commands: [C, I],
    after: [I, 2, 1, 0, 0],
  },
  {
    name: 'a complete batch with a wrong sum is recounted and stays complete',
    before: [C, 2, 3, 0, 0],
    commands: [C, X],
    after: [F, 2, 1, 1, 0],
  },
  {
    name: 'a complete batch whose commands were deleted is left alone',
    before: [F, 3, 2, 1, 0],
    commands: [C],
    after: [F, 3, 2, 1, 0],
  },
  {
    name: 'a complete batch whose commands were deleted cannot have one in troubleshooting',
    before: [C, 5, 5, 0, 1],
    commands: [],
    after: [C, 5, 5, 0, 0],
  },
  {
    name: 'nor can one whose remaining commands agree with its counters',
    before: [F, 3, 2, 1, 2],
    commands: [C, X],
    after: [F, 3, 2, 1, 0],
  },
  {
    name: 'a complete batch that one of its commands contradicts is recounted',
    before: [C, 2, 2, 0, 1],
    commands: [C, T],
    after: [I, 2, 1, 0, 1],
  },
  {
    name: 'a batch with more commands than announced is counted up to total_count',
    before: [I, 2, 3, 0, 1],
    commands: [C, C, T, I],
    after: [C, 2, 2, 0, 0],
  },
  {
    name: 'an empty batch is never complete',
    before: [P, 0, 0, 0, 0],
    commands: [],
    after: [P, 0, 0, 0, 0],
  },
  {
    name: 'a batch waits for commands that have not been sent yet',
    before: [P, 4, 0, 0, 0],
    commands: [P],
    after: [P, 4, 0, 0, 0],
  },
]

test('wrong counters are recounted from the commands, and reported', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  for (const [n, { before, commands }] of cases.entries()) await insert(pool, n, before, commands)

  const warnings = await runMigrations(url)

  const changed = cases.filter(({ before, after }) => before.join() !== after.join())
  for (const [n, { name, after }] of cases.entries()) {
    t.same(await load(pool, n), after, name)
  }
  const report = await pool.query(
    `select details ->> 'batch_id' as batch, details -> 'before' ->> 'completed_count' as before
       from commandbus.adoption_report order by 1`,
  )
  t.same(
    report.rows,
    [...cases.entries()]
      .filter(([, { before, after }]) => before.join() !== after.join())
      .map(([n, { before }]) => ({ batch: legacyId('b', n), before: String(before[2]) })),
  )
  t.equal(warnings.length, 1)
  t.match(warnings[0], String(changed.length))
  const completed = await pool.query(
    `select command_id from commandbus.audit where event_type = 'BATCH_COMPLETED' order by 1`,
  )
  t.same(
    completed.rows.map((row) => row.command_id),
    [3, 4, 11].map((n) => legacyId('b', n)),
    'completions that were missing are audited',
  )
})

test('counting continues in an adopted batch, whatever the states of its commands were', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await insert(pool, 1, [I, 6, 1, 1, 2], [C, X, T, T, I, P])
  await runMigrations(url)
  const id = (n: number) => legacyId('c', 100 + n)
  const call = async (sql: string, values: unknown[]) => (await pool.query(sql, values)).rows[0].is
  const finish = (n: number, status: string) =>
    call(`select commandbus.sp_finish_command('payments', $1, $2, $2) as is`, [id(n), status])
  const settle = (move: string) =>
    call(`select commandbus.sp_tsq_${move}('payments', $1) as is`, [legacyId('b', 1)])
  const set = (n: number, status: string) =>
    pool.query('update commandbus.command set status = $2 where command_id = $1', [id(n), status])

  t.equal(await settle('retry'), false)
  t.same(await load(pool, 1), [I, 6, 1, 1, 2], 'what was counted before is not counted again')

  t.equal(await finish(1, C), false)
  t.same(await load(pool, 1), [I, 6, 1, 1, 2], 'nor is a late second finish')

  await set(3, P)
  t.equal(await settle('retry'), false)
  t.same(await load(pool, 1), [I, 6, 1, 1, 1], 'an operator takes one back')

  await set(4, X)
  t.equal(await settle('cancel'), false)
  t.same(await load(pool, 1), [I, 6, 1, 2, 0], 'and cancels one')

  t.equal(await finish(5, C), false)
  t.equal(await finish(6, C), false)
  t.same(await load(pool, 1), [I, 6, 3, 2, 0])

  t.equal(await finish(3, C), true, 'the last finish completes the batch')
  t.same(await load(pool, 1), [F, 6, 4, 2, 0])
})

test('commands beyond total_count are not subtracted from the counters later', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await insert(pool, 1, [I, 2, 1, 0, 1], [C, T, T])
  await runMigrations(url)
  const { rows } = await pool.query(
    `select command_id, counted_as from commandbus.command where status = $1 order by counted_as`,
    [T],
  )
  t.same(
    rows.map((row) => row.counted_as),
    ['AS_STATUS', null],
  )

  await pool.query('update commandbus.command set status = $2 where command_id = $1', [
    rows[1].command_id,
    P,
  ])
  await pool.query(`select commandbus.sp_tsq_retry('payments', $1)`, [legacyId('b', 1)])

  t.same(await load(pool, 1), [I, 2, 1, 0, 1])
})

test('commands of a batch that does not exist are kept, counted and reported', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createLegacySchema(pool)
  await fillLegacyTables(pool)
  await pool.query(
    `update public.command_bus_command set batch_id = gen_random_uuid() where status = 'FAILED'`,
  )

  const warnings = await runMigrations(url)

  const key = await pool.query(
    `select convalidated from pg_constraint where conrelid = 'commandbus.command'::regclass and contype = 'f'`,
  )
  t.same(key.rows, [{ convalidated: false }])
  const others = await pool.query(
    `select conname from pg_constraint where not convalidated and contype <> 'f'`,
  )
  t.same(others.rows, [], 'every check is proven')
  const report = await pool.query(
    `select details -> 'commands' as n from commandbus.adoption_report`,
  )
  t.same(report.rows, [{ n: 1 }])
  t.equal(warnings.length, 1)
  const finish = await pool.query(
    `select commandbus.sp_finish_command('payments', $1, 'COMPLETED', 'COMPLETED') as is`,
    [legacyId('c', 4)],
  )
  t.same(finish.rows, [{ is: false }], 'such a command can still be finished')
  await t.rejects(
    pool.query(
      `insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
       values ('payments', 'q', gen_random_uuid(), 'Debit', 'PENDING', 3, gen_random_uuid())`,
    ),
    { code: '23503' },
    'a new one is refused',
  )
})

async function insert(pool: Pool, n: number, batch: Batch, commands: readonly string[]) {
  await pool.query(
    `insert into public.command_bus_batch (domain, batch_id, status, total_count, completed_count,
       canceled_count, in_troubleshooting_count) values ('payments', $1, $2, $3, $4, $5, $6)`,
    [legacyId('b', n), ...batch],
  )
  for (const [i, status] of commands.entries()) {
    await pool.query(
      `insert into public.command_bus_command (domain, queue_name, command_id, command_type, status,
         max_attempts, batch_id) values ('payments', 'payments__commands', $1, 'Debit', $2, 3, $3)`,
      [legacyId('c', 100 * n + i + 1), status, legacyId('b', n)],
    )
  }
}

async function load(pool: Pool, n: number): Promise<Batch> {
  const { rows } = await pool.query({
    text: `select status, total_count, completed_count, canceled_count, in_troubleshooting_count
             from commandbus.batch where batch_id = $1`,
    values: [legacyId('b', n)],
    rowMode: 'array',
  })
  return rows[0] as unknown as Batch
}
