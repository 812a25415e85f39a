// The sessions that a loop has open before it needs them.
import { EventEmitter } from 'node:events'
import { test } from 'tap'
import { createSpareSessions } from '../../../dev/loop/spare-sessions.ts'
import type { SessionClient } from '../../../src/postgres/connection/client.ts'

test('sessions that are still being opened are ended, too: one that is left keeps the process', async (t) => {
  const opened: Array<(client: SessionClient) => void> = []
  const ended: number[] = []
  const spare = createSpareSessions(() => new Promise((resolve) => opened.push(resolve)))
  spare.refill()
  spare.refill()
  t.equal(opened.length, 3, 'no more than a run takes')

  const discarded = spare.discard()
  for (const [at, resolve] of opened.entries()) {
    const end = async () => void ended.push(at)
    resolve(Object.assign(new EventEmitter(), { end }) as unknown as SessionClient)
  }
  await discarded
  t.strictSame(ended, [0, 1, 2])
})
