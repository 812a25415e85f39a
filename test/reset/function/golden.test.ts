import { type Test, test } from 'tap'
import {
  type BaselineSchema,
  type BaselineTable,
  loadBaselineSchema,
} from '../../../src/baseline/schema.ts'
import { generateResetFunction } from '../../../src/reset/function/generate.ts'
import { loadServer } from '../../support/server.ts'
import { createResetWorld } from '../world.ts'
import { EVERY_FEATURE } from './every-feature.ts'
import { matchGolden } from './golden.ts'

const generate = (schema: BaselineSchema): string =>
  `${generateResetFunction({
    schema,
    baseline: { id: '1' },
    thisDatabase: {
      systemIdentifier: '7000000000000000000',
      databaseOid: '16384',
      databaseName: 'commandbus',
      timeline: '1',
    },
    searchPath: '"$user", public',
    lockWaitMs: 400,
  })}\n`

test('the reset function for the project’s own schema is the one that was reviewed', async (t) => {
  if (loadServer().watcherPid === undefined) {
    t.pass('golden', { skip: 'NOT TESTED: a given server may have another PGMQ' })
    return
  }
  const world = await createResetWorld(t, { from: 'migrated' })
  const { client } = await world.sessions.open()

  const sql = generate(withStableOids(await loadBaselineSchema(client)))

  matchGolden(t, 'reset_data.golden.sql', sql)
  assertTidy(t, sql)
})

test('the reset function for a schema that has everything is the one that was reviewed', async (t) => {
  const world = await createResetWorld(t, { from: 'empty' })

  const sql = generate(EVERY_FEATURE)

  matchGolden(t, 'every_feature.golden.sql', sql)
  assertTidy(t, sql)
  // Creating a function checks the syntax of its statements, and asks for none of their tables.
  await world.pool.query(sql)
})

test('each relation is named by a statement with a plan id, and so no change to one goes unnoticed', async (t) => {
  const many = Array.from({ length: 201 }, (_, index) => ({
    ...(EVERY_FEATURE.tables[0] as BaselineTable),
    name: `app.many_${index}`,
  }))
  const withMany: BaselineSchema = {
    ...EVERY_FEATURE,
    tables: [...EVERY_FEATURE.tables, ...many],
    groups: [...EVERY_FEATURE.groups, ...many.map((table) => [table])],
    parts: {
      ...EVERY_FEATURE.parts,
      relations: [...EVERY_FEATURE.parts.relations, ...many.map(({ name }) => name)],
    },
  }
  for (const schema of [EVERY_FEATURE, withMany]) {
    const statements = generate(schema).match(/select pg_temp\.new_plan_id\(\)[^;]*;/g) ?? []
    const named = new Set(
      statements.flatMap((one) =>
        one.split('\n').map((line) => /from (?:only )?(.+?)[),;]*$/.exec(line)?.[1]),
      ),
    )
    t.same(
      schema.parts.relations.filter((name) => !named.has(name)),
      [],
    )
  }
})

/** The oids of a database are its own: numbers them in the order of the schema. */
function withStableOids(schema: BaselineSchema): BaselineSchema {
  const number = <T>(items: readonly T[], start: number) =>
    items.map((item, index) => ({ ...item, oid: start + index }))
  const tables = number(schema.tables, 1001).map((table) => ({
    ...table,
    toastOid: table.toastOid && table.oid + 3000,
  }))
  return {
    ...schema,
    tables,
    groups: schema.groups.map((group) =>
      group.flatMap(({ name }) => tables.find((table) => table.name === name) ?? []),
    ),
    materializedViews: number(schema.materializedViews, 2001),
    sequences: number(schema.sequences, 3001),
  }
}

function assertTidy(t: Test, sql: string): void {
  const untidy = sql.split('\n').filter((line) => /[^\S\n]$|\t/.test(line))
  t.same(untidy, [], 'no trailing blanks, no tabs')
  t.notMatch(sql, /\n\n\n/, 'no two blank lines in a row')
}
