import { test } from 'tap'
import { createLossWatch } from '../../../src/migrations/tool/silence.ts'
import type { Queryable } from '../../../src/postgres/client.ts'

/** Answers each look at the backend with this many rows, or fails. */
const poolOf = (answer: number | Error) =>
  ({
    query: async () => {
      if (answer instanceof Error) throw answer
      return { rowCount: answer }
    },
  }) as unknown as Queryable

const CASES = [
  { what: 'a backend that is busy', answer: 1, isLost: false },
  { what: 'a backend that is idle or gone', answer: 0, isLost: true },
  { what: 'a look that fails', answer: new Error('no connection'), isLost: false },
] as const

for (const { what, answer, isLost } of CASES) {
  test(`${what}: the migration's session counts as ${isLost ? '' : 'not '}lost`, async (t) => {
    const watch = createLossWatch({ pool: poolOf(answer) })
    const losses: string[] = []
    watch.onLost((reason) => losses.push(reason))

    watch.check(1)
    await new Promise(setImmediate)

    t.equal(losses.length, isLost ? 1 : 0)
    watch.stop()
  })
}

test('a loss of all sessions is one of the migration as well, until the watch stops', async (t) => {
  const listeners = new Set<(reason: string) => void>()
  const watch = createLossWatch({
    pool: poolOf(1),
    onEndAll(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  })
  const losses: string[] = []
  watch.onLost((reason) => losses.push(reason))

  for (const end of listeners) end('the database does not answer')
  t.strictSame(losses, ['the database does not answer'])
  watch.stop()
  t.equal(listeners.size, 0)
})
