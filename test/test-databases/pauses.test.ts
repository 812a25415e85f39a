import { test } from 'tap'
import { createPauses } from '../../src/test-databases/pauses.ts'

test('a pause ends by itself', async () => {
  await createPauses(1).wait()
})

test('pauses are ended in the order in which they began', async (t) => {
  const pauses = createPauses(60_000)
  const ended: string[] = []
  const first = pauses.wait().then(() => ended.push('first'))
  const second = pauses.wait().then(() => ended.push('second'))

  pauses.endOldest()
  await first
  t.same(ended, ['first'])
  pauses.endOldest()
  await second
  t.same(ended, ['first', 'second'])
  pauses.endOldest()
})
