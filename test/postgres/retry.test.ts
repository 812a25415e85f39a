import { test } from 'tap'
import { retryConnecting } from '../../src/postgres/retry.ts'

const patient = {
  waitMs: 20_000,
  log: { debug() {}, info() {}, warn() {}, error() {} },
  signal: new AbortController().signal,
}

function refuse(code: string): Error {
  return Object.assign(new Error('not now'), { code })
}

test('a connection that the server refuses for now is retried', async (t) => {
  const refusals = [refuse('53300'), refuse('57P03'), refuse('08006')]

  const outcome = await retryConnecting(async () => {
    const refusal = refusals.shift()
    if (refusal !== undefined) throw refusal
    return 'connected'
  }, patient)

  t.equal(outcome, 'connected')
})

test('a server that refuses connections for too long is reported as not reached', async (t) => {
  const attempt = () => Promise.reject(refuse('53300'))

  await t.rejects(retryConnecting(attempt, { ...patient, waitMs: 0 }), {
    code: 'database_not_reached',
    exitCode: 3,
  })
})

test('any other error is not retried', async (t) => {
  const refusal = refuse('42501')
  let tries = 0

  const attempt = () => {
    tries++
    return Promise.reject(refusal)
  }

  t.equal(await retryConnecting(attempt, patient).catch((error) => error), refusal)
  t.equal(tries, 1)
})

test('the signal ends the wait', async (t) => {
  const stop = new AbortController()
  const reason = new Error('stop')
  const attempt = () => {
    stop.abort(reason)
    return Promise.reject(refuse('53300'))
  }

  const outcome = retryConnecting(attempt, { ...patient, signal: stop.signal })

  t.equal(await outcome.catch((error) => error), reason)
})
