import { test } from 'tap'
import type { CommittedMigration } from '../../src/migrations/files/migration.ts'
import { findRepair, planRepair, type Unfinished } from '../../src/migrations/unfinished.ts'

const file = (body: string, noTransaction = true) =>
  ({ body, noTransaction }) as unknown as CommittedMigration
const index = (name: string): Unfinished => ({
  kind: 'index',
  oid: 1,
  name,
  qualifiedName: `public.${name}`,
  finalize: null,
  attachAgain: null,
})

const CREATE = file('create index concurrently t_x on public.t (x);')
const DROP = file('drop index concurrently if exists public.t_x;')
const OTHER = file('create index concurrently t_x_2 on public.t (x);')

const PLANS: readonly [string, Unfinished, CommittedMigration[], CommittedMigration[], string][] = [
  ['the file that makes it is pending', index('t_x'), [], [CREATE], 'drop'],
  ['the file that makes it is recorded', index('t_x'), [CREATE], [OTHER], 'refuse'],
  ['the pending file drops it', index('t_x'), [], [DROP], 'leave to the file'],
  ['the name is only part of another', index('t_x'), [], [OTHER], 'refuse'],
  ['a pending file may have made it, unnamed', index('t_y_idx'), [], [CREATE], 'refuse'],
  ['a copy of reindex, with a file to run', index('t_x_ccnew'), [], [CREATE], 'drop'],
  ['a copy of reindex, with nothing to run', index('t_x_ccold1'), [CREATE], [], 'refuse'],
  [
    'files in transactions do not count',
    index('t_x'),
    [],
    [file(CREATE.body ?? '', false)],
    'refuse',
  ],
]

for (const [what, one, recorded, pending, expected] of PLANS) {
  test(`an invalid index, where ${what}: ${expected}`, async (t) => {
    t.equal(planRepair(one, [...recorded, ...pending], pending), expected)
  })
}

test('the repair is named: rebuilt by the service or by a statement', async (t) => {
  t.equal(findRepair(index('t_x'), []), 'reindex index concurrently public.t_x')
  t.equal(findRepair(index('t_x_ccnew'), []), 'drop index concurrently public.t_x_ccnew')
  t.equal(findRepair(index('t_y_idx'), [CREATE]), 'drop index concurrently public.t_y_idx')
})
