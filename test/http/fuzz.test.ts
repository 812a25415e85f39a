import { test } from 'tap'
import { notDisposableError } from '../../src/baseline/disposable.ts'
import type { Status } from '../../src/http/schemas/status.ts'
import { EXAMPLE_STATUS } from '../../src/http/schemas/status-example.ts'
import { fuzz } from '../fuzz/run.ts'
import { createTestApp, description } from '../support/app.ts'
import { createAnswerCheck } from '../support/described.ts'

const TOKEN = 'a-token-long-enough'

// npm run test:fuzz sends many more, to a whole service.
test('requests of every kind are answered as described', async (t) => {
  const app = createTestApp(t, {
    readStatus: async () => EXAMPLE_STATUS as Status,
    readMetrics: async () => ({ contentType: 'text/plain; charset=utf-8', text: '' }),
    reset: {
      token: TOKEN,
      assertReady: () => {},
      reset: async () => {
        throw notDisposableError({ name: 'production', host: 'db', port: 5432 })
      },
    },
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const check = createAnswerCheck(description)

  await fuzz(t, { address, description, check, token: TOKEN, requests: 500 })
})
