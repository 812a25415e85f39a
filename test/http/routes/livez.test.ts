import { test } from 'tap'
import { createReadiness } from '../../../src/readiness.ts'
import { createTestApp } from '../../support/app.ts'

test('GET /livez answers in every state', async (t) => {
  const readiness = createReadiness()
  const app = createTestApp(t, { readiness })

  t.equal((await app.inject('/livez')).statusCode, 200)
  readiness.set({ ready: false, reason: 'stopping', detail: 'stopping' })
  t.equal((await app.inject('/livez')).statusCode, 200)
  t.equal((await app.inject({ method: 'HEAD', url: '/livez' })).statusCode, 200)
})
