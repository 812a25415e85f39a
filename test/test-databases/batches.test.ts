import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import { createBatches } from '../../src/test-databases/batches.ts'

test('calls that come while one runs are made together, and each gets its own result', async (t) => {
  const batches: (readonly string[])[] = []
  const call = createBatches<string, string>(async (inputs) => {
    batches.push(inputs)
    await nextTurn()
    return inputs.map((input) => input.toUpperCase())
  })

  t.strictSame(await Promise.all(['a', 'b', 'c'].map(call)), ['A', 'B', 'C'])
  t.strictSame(batches, [['a'], ['b', 'c']])
})

test('a batch that fails is the answer to its calls only', async (t) => {
  const call = createBatches<string, string>(async (inputs) => {
    await nextTurn()
    if (inputs.includes('bad')) throw new Error('no')
    return inputs
  })

  const [first, ...others] = await Promise.allSettled(['good', 'bad', 'beside'].map(call))
  t.match(first, { status: 'fulfilled', value: 'good' })
  for (const other of others) t.match(other, { status: 'rejected', reason: { message: 'no' } })
  t.equal(await call('next'), 'next')
})
