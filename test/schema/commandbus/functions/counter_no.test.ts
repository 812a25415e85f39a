import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase, type Queryable } from '../../../support/procedures.ts'

test('counter_no', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)
  const countersOf = async (
    db: Queryable,
    ids: readonly string[],
  ): Promise<Map<number, number>> => {
    const { rows } = await db.query(
      `select commandbus.counter_no(id), count(*)::int
         from unnest($1::uuid[]) as id group by 1`,
      [ids],
    )
    return new Map(rows.map((row) => [row.counter_no, row.count]))
  }
  const hex = (n: number, width: number): string => n.toString(16).padStart(width, '0')

  t.test(
    'is always the same for one command',
    rolledBack(async (t, db) => {
      const ids = Array<string>(20).fill(randomUUID())

      t.equal((await countersOf(db, ids)).size, 1)
    }),
  )

  for (const [kind, make] of [
    ['random ids', () => randomUUID()],
    ['ids that count up', (n: number) => `00000000-0000-4000-8000-${hex(n, 12)}`],
    ['ids of version 1', (n: number) => `${hex(n, 8)}-1dd2-11b2-8000-0242ac130003`],
    ['ids of version 6', (n: number) => `1d19dad6-ba7b-6${hex(n, 3)}-8000-0242ac130003`],
    ['ids of version 7', (n: number) => `01890a5d-ac96-774b-b9aa-${hex(n * 7919, 12)}`],
  ] as const) {
    t.test(
      `spreads ${kind} over all 16 counters`,
      rolledBack(async (t, db) => {
        const counters = await countersOf(
          db,
          Array.from({ length: 1600 }, (_, n) => make(n)),
        )

        t.strictSame(
          [...counters.keys()].sort((a, b) => a - b),
          Array.from({ length: 16 }, (_, n) => n),
        )
        // 100 each on the average.
        t.ok(Math.max(...counters.values()) < 200)
      }),
    )
  }
})
