import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { type Test, test } from 'tap'
import { busDirt, type Dirt, nastyDirt, soil } from './dirt.ts'
import { compareSnapshots, takeSnapshot } from './snapshot.ts'
import { createResetWorld, type ResetWorld } from './world.ts'

const nasty = readFileSync(new URL('nasty.sql', import.meta.url), 'utf8')
const RUNS = 12

/** Printed with each test: the same seed draws the same statements again. */
const SEED = Number(process.env.RESET_SEED || Math.floor(Math.random() * 2 ** 31))

test('whatever was done to the command bus, a reset restores the baseline', async (t) => {
  const world = await createResetWorld(t, { from: 'migrated' })

  await checkExactness(t, world, busDirt)
})

test('a plain owner resets every kind of object exactly', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: nasty, asOwner: true })

  await checkExactness(t, world, nastyDirt)
})

test('hundreds of tables are restored exactly', async (t) => {
  const many = Array.from({ length: 250 }, (_, n) => `create table app.more_${n} (amount int);`)
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `${nasty}; ${many.join('')}`,
    asOwner: true,
  })
  const soilMany = fc
    .integer({ min: 0, max: 249 })
    .map((n) => `insert into app.more_${n} values (${n})`)

  await checkExactness(t, world, fc.oneof(nastyDirt, soilMany), 4)
})

test('a reset of a clean database changes nothing, and reports that', async (t) => {
  const world = await createResetWorld(t, { from: 'migrated' })

  const { result } = await world.reset()

  t.same(result, {
    tables: { emptied: [], restored: [] },
    sequences: [],
    queues: { emptied: [], dropped: [] },
    partitions: { dropped: [] },
  })
})

test('a reset reports what it emptied, restored, set and dropped', async (t) => {
  const world = await createResetWorld(t, { from: 'migrated' })
  await world.pool.query(`
    insert into commandbus.audit (domain, command_id, event_type)
    values ('payments', gen_random_uuid(), 'SENT');
    delete from e2e.config;
    select pgmq.send('payments__commands', '{}');
    select pgmq.create('made_since')`)

  const { result } = await world.reset()

  t.same(result, {
    tables: { emptied: ['commandbus.audit'], restored: ['e2e.config'] },
    sequences: ['commandbus.audit_audit_id_seq', 'pgmq.q_payments__commands_msg_id_seq'],
    queues: { emptied: ['payments__commands'], dropped: ['made_since'] },
    partitions: { dropped: [] },
  })
})

test('a large table is restored as exactly as a small one', async (t) => {
  const world = await createResetWorld(t, { from: 'migrated' })
  const before = await takeSnapshot(world.pool)
  await world.pool.query(`
    insert into commandbus.audit (domain, command_id, event_type)
    select 'payments', gen_random_uuid(), 'SENT' from generate_series(1, 30000);
    insert into e2e.config select 'key ' || n, jsonb_build_object('n', n) from generate_series(1, 30000) n`)
  const fileOf = async () =>
    (await world.pool.query(`select pg_relation_filenode('commandbus.audit') as file`)).rows[0].file
  const file = await fileOf()

  await world.reset()

  t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [])
  t.not(await fileOf(), file, 'it was truncated, not deleted')
  await world.reset()
})

async function checkExactness(
  t: Test,
  world: ResetWorld,
  dirt: fc.Arbitrary<Dirt>,
  numRuns = RUNS,
): Promise<void> {
  t.comment(`RESET_SEED=${SEED} repeats this run`)
  const before = await takeSnapshot(world.pool)
  let done = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(dirt, { minLength: 3, maxLength: 30, size: 'max' }),
      async (statements) => {
        done += await soil(world.ownerPool, statements)
        await world.reset()
        const differences = compareSnapshots(before, await takeSnapshot(world.pool))
        if (differences.length > 0) throw new Error(differences.join('\n').slice(0, 5000))
      },
    ),
    { numRuns, endOnFailure: true, seed: SEED },
  )
  t.ok(done > numRuns, `${done} statements went through`)
}
