import { EventEmitter } from 'node:events'
import { test } from 'tap'
import { createLossWatch, reportWaiting } from '../../../src/migrations/tool/silence.ts'
import type { Queryable } from '../../../src/postgres/client.ts'
import type { SessionClient } from '../../../src/postgres/connection/client.ts'
import { until } from '../../support/until.ts'

/** Answers each look at the backend with those that are busy, or fails. */
const poolOf = (answer: readonly number[] | Error) =>
  ({
    query: async () => {
      if (answer instanceof Error) throw answer
      return { rows: answer.map((pid) => ({ pid })) }
    },
  }) as unknown as Queryable

const CASES = [
  { what: 'a backend that is busy', answer: [1], isLost: false },
  { what: 'a backend that is idle or gone', answer: [], isLost: true },
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
    pool: poolOf([1]),
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

test('a statement that is still being sent does not count as one without an answer', async (t) => {
  let looks = 0
  let isSending = true
  const stream = Object.assign(new EventEmitter(), { writableLength: 0 })
  Object.defineProperty(stream, 'bytesWritten', { get: () => (isSending ? ++looks : looks) })
  const client = Object.assign(new EventEmitter(), {
    readyForQuery: false,
    backendPid: 7,
    connection: { stream },
  })
  t.teardown(() => client.emit('end'))
  const waiting: number[] = []

  reportWaiting(client as unknown as SessionClient, (pid) => waiting.push(pid), {
    intervalMs: 2,
    suspiciousMs: 20,
  })

  await until('it was looked at often', async () => looks > 40)
  t.strictSame(waiting, [])
  isSending = false
  await until('it is reported', async () => waiting.length > 0)
  t.equal(waiting[0], 7)
})
