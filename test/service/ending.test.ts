import { test } from 'tap'
import { ServiceError } from '../../src/errors/service-error.ts'
import { createEnding } from '../../src/service/ending.ts'

function createWorld(close: () => Promise<void>, shutdownMs = 20_000) {
  const lines: string[] = []
  const write = (_data: object, message: string) => void lines.push(message)
  const log = { debug: write, info: write, warn: write, error: write, fatal: write } as never
  const ending = createEnding({ log, shutdownMs, close, onStop: () => lines.push('onStop') })
  return { ending, lines }
}

test('the first stop decides the exit code; what it interrupts is not an error', async (t) => {
  const { ending, lines } = createWorld(async () => {})

  ending.begin(0)
  ending.fail(ending.signal.reason)
  ending.fail(new ServiceError('history_refused', 'later'))

  t.equal(await ending.exitCode, 0)
  t.same(lines, ['onStop', 'exiting', 'stopped'])
})

test('an unforeseen error ends with 1, a foreseen one with its own exit code', async (t) => {
  const unforeseen = createWorld(async () => {})
  unforeseen.ending.fail(undefined)
  const foreseen = createWorld(async () => {})
  foreseen.ending.fail(new ServiceError('history_refused', 'differs'))

  t.equal(await unforeseen.ending.exitCode, 1)
  t.equal(await foreseen.ending.exitCode, 5)
})

test('a stop that cannot close everything ends with 1, at the latest after SHUTDOWN_SECONDS', async (t) => {
  const failing = createWorld(() => Promise.reject(new Error('closed twice')))
  failing.ending.begin(0)
  const hanging = createWorld(() => new Promise(() => {}), 1)
  hanging.ending.begin(0)

  t.equal(await failing.ending.exitCode, 1)
  t.equal(await hanging.ending.exitCode, 1)
  t.match(hanging.lines, ['onStop', 'not stopped in time (SHUTDOWN_SECONDS)'])
})
