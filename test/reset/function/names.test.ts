import { test } from 'tap'
import { compareSnapshots, takeSnapshot } from '../snapshot.ts'
import { createResetWorld } from '../world.ts'

/** Names that would end a quoted text, a comment or a line of the generated function. */
const NAMES = [
  'x$reset$y',
  `it's`,
  'back\\slash',
  'two\nlines',
  '-- no comment',
  '*/ /*',
  'say ""so""',
  '%s %I',
]

test('no name ends the string, comment or line that it stands in', async (t) => {
  const tables = NAMES.map((name) => `public."${name}"`)
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: NAMES.map(
      (name) => `
        create table public."${name}" ("${name} 1" int generated always as identity, "${name} 2" text);
        insert into public."${name}" ("${name} 2") values ('seed');
        create materialized view public."view ${name}" as select * from public."${name}"`,
    ).join(';'),
  })
  const before = await takeSnapshot(world.pool)
  for (const [index, table] of tables.entries()) {
    await world.pool.query(`insert into ${table} ("${NAMES[index]} 2") values ('dirt')`)
    await world.pool.query(`refresh materialized view public."view ${NAMES[index]}"`)
  }

  const { result } = await world.reset()

  t.same(result.tables.restored, tables.toSorted())
  t.equal(result.sequences.length, NAMES.length)
  t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [])
})
