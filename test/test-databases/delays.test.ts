import { test } from 'tap'
import { createDelays } from '../../src/test-databases/delays.ts'

test('a delay ends by itself', async () => {
  await createDelays(1).wait()
})

test('delays are ended in the order in which they began', async (t) => {
  const delays = createDelays(60_000)
  const ended: string[] = []
  const first = delays.wait().then(() => ended.push('first'))
  const second = delays.wait().then(() => ended.push('second'))

  delays.endOldest()
  await first
  t.same(ended, ['first'])
  delays.endOldest()
  await second
  t.same(ended, ['first', 'second'])
  delays.endOldest()
})
