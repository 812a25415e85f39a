import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import { type AttemptAll, createQueue, type WaitOptions } from '../../src/test-databases/queue.ts'

/** Waits for one of these things; what is not wanted any more is put back. */
function createWorld(free: string[], attemptAll?: AttemptAll<string, string>) {
  const takeFree = async (requests: readonly string[]) => free.splice(0, requests.length)
  const queue = createQueue<string, string>(attemptAll ?? takeFree)
  const wait = (options: Partial<WaitOptions<string>> = {}, request = 'any') =>
    queue.wait(request, {
      waitMs: 60_000,
      onUnwanted: (thing) => void free.push(thing),
      createTimeoutError: async () => new Error('none was free'),
      signal: new AbortController().signal,
      ...options,
    })
  return { queue, wait, free }
}

test('what is free is handed out at once, and the rest in the order of the requests', async (t) => {
  const { queue, wait, free } = createWorld(['a'])
  const served: string[] = []
  const note = (name: string) => (thing: string) => void served.push(`${name} ${thing}`)

  await wait().then(note('first'))
  const second = wait().then(note('second'))
  const third = wait().then(note('third'))
  free.push('b', 'c')
  queue.wake()
  await Promise.all([second, third])

  t.strictSame(served, ['first a', 'second b', 'third c'])
})

test('a request that may not wait gets what is free, or an error', async (t) => {
  const { wait } = createWorld(['a'])

  t.equal(await wait({ waitMs: 0 }), 'a')
  await t.rejects(wait({ waitMs: 0 }), { message: 'none was free' })
})

test('what becomes free without a call is found soon', async (t) => {
  const { wait, free } = createWorld([])
  const waiting = wait()
  free.push('by another service')

  t.equal(await waiting, 'by another service')
})

test('a request that is aborted is out of the queue', async (t) => {
  const { queue, wait, free } = createWorld([])
  const gone = new AbortController()
  const first = wait({ signal: gone.signal })
  const second = wait()
  gone.abort(new Error('gone'))
  await t.rejects(first, { message: 'gone' })
  free.push('a')
  queue.wake()

  t.equal(await second, 'a')
  await t.rejects(wait({ signal: gone.signal }), { message: 'gone' })
})

test('what an attempt got for a request that was aborted meanwhile is put back', async (t) => {
  const gone = new AbortController()
  const { wait, free } = createWorld([], async () => {
    gone.abort(new Error('gone'))
    return ['a']
  })

  await t.rejects(wait({ signal: gone.signal }), { message: 'gone' })
  t.strictSame(free, ['a'])
})

test('requests that come during an attempt are served by the next one together', async (t) => {
  const attempts: (readonly string[])[] = []
  const { wait } = createWorld([], async (requests) => {
    attempts.push(requests)
    await nextTurn()
    return requests.map((request) => `something for ${request}`)
  })
  const names = ['first', 'second', 'third']

  t.strictSame(
    await Promise.all(names.map((name) => wait({}, name))),
    names.map((name) => `something for ${name}`),
  )
  t.strictSame(attempts, [['first'], ['second', 'third']])
})

test('an attempt that fails is the answer to its requests only', async (t) => {
  const failures = [new Error('the database is lost')]
  const { wait } = createWorld([], async (requests) => {
    await nextTurn()
    const failure = failures.shift()
    if (failure !== undefined) throw failure
    return requests.map(() => 'a')
  })

  const failing = wait()
  const next = wait()
  await t.rejects(failing, { message: 'the database is lost' })
  t.equal(await next, 'a')
})

test('a stop rejects everything that waits', async (t) => {
  const { queue, wait } = createWorld([])
  const waiting = [wait(), wait()]
  queue.rejectAll(new Error('stopping'))

  for (const one of waiting) await t.rejects(one, { message: 'stopping' })
})
