import { createServer } from 'node:net'
import { test } from 'tap'
import { findFreePort } from '../../dev/ports.ts'
import { findFreePort as findAnyPort } from '../support/port.ts'

test('a port that another checkout uses is left to it', async (t) => {
  const host = '127.0.0.1'
  const first = await findAnyPort()
  t.equal(await findFreePort(host, first), first)

  const other = createServer()
  await new Promise<void>((resolve) => other.listen(first, host, resolve))
  t.teardown(() => other.close())
  const next = await findFreePort(host, first)
  t.ok(next > first, `${next} is behind ${first}`)
  t.ok((await findFreePort(host, first, { not: next })) > next, 'nor the one that is taken already')
  t.ok((await findFreePort(host, 0)) > 0, '0 is any free one')
})
