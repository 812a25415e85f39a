import { test } from 'tap'
import { createReadiness } from '../src/readiness.ts'

test('a starting service waits for the database', async (t) => {
  t.match(createReadiness().current, { ready: false, reason: 'waiting_for_database' })
})

test('a lost database shows only while the service is otherwise ready', async (t) => {
  const readiness = createReadiness()
  readiness.setDatabaseProblem('refused')
  t.match(readiness.current, { reason: 'waiting_for_database' })

  readiness.set({ ready: true })
  t.strictSame(readiness.current, {
    ready: false,
    reason: 'database_unavailable',
    detail: 'refused',
  })

  readiness.set({ ready: false, reason: 'rebuilding', detail: '' })
  t.match(readiness.current, { reason: 'rebuilding' })

  readiness.set({ ready: true })
  readiness.setDatabaseProblem(undefined)
  t.strictSame(readiness.current, { ready: true })
})

test('a lost database is reported before an interrupted reset', async (t) => {
  const readiness = createReadiness()
  readiness.set({ ready: true })
  readiness.setResetProblem('interrupted')
  t.match(readiness.current, { reason: 'database_unavailable', detail: 'interrupted' })
  t.strictSame(readiness.currentForReset, { ready: true }, 'a reset is what repairs it')

  readiness.setDatabaseProblem('refused')
  t.match(readiness.current, { reason: 'database_unavailable', detail: 'refused' })
  t.match(readiness.currentForReset, { reason: 'database_unavailable', detail: 'refused' })

  readiness.setDatabaseProblem(undefined)
  t.match(readiness.current, { reason: 'database_unavailable', detail: 'interrupted' })
})

test('stopping is the last state', async (t) => {
  const readiness = createReadiness()
  readiness.set({ ready: false, reason: 'stopping', detail: '' })

  readiness.set({ ready: true })

  t.match(readiness.current, { ready: false, reason: 'stopping' })
})
