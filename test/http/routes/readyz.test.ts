import { test } from 'tap'
import { createReadiness, type NotReadyReason } from '../../../src/readiness.ts'
import { createTestApp } from '../../support/app.ts'

const REASONS: NotReadyReason[] = [
  'waiting_for_database',
  'waiting_for_lock',
  'migrating',
  'migration_failed',
  'history_refused',
  'database_unavailable',
  'rebuilding',
  'stopping',
]

for (const url of ['/readyz', '/health']) {
  test(`GET ${url} answers JSON in every state, and hides secrets`, async (t) => {
    const readiness = createReadiness()
    const app = createTestApp(t, { readiness, mask: (text) => text.replaceAll('s3cret', '***') })
    for (const [state, body] of [
      [{ ready: true }, { status: 'ready' }],
      [
        { ready: true, ahead: 'ahead by s3cret' },
        { status: 'ready', detail: 'ahead by ***' },
      ],
      [
        { ready: false, reason: 'migrating', detail: 'of s3cret' },
        { status: 'not_ready', reason: 'migrating', detail: 'of ***' },
      ],
    ] as const) {
      readiness.set(state)
      const response = await app.inject(url)
      const head = await app.inject({ method: 'HEAD', url })

      t.strictSame(response.json(), body)
      for (const { headers } of [response, head]) {
        t.equal(headers['content-type'], 'application/json; charset=utf-8')
        t.equal(headers['content-length'], `${Buffer.byteLength(JSON.stringify(body))}`)
      }
    }
  })

  test(`GET ${url} is not cached`, async (t) => {
    const readiness = createReadiness()
    const app = createTestApp(t, { readiness })

    const notReady = await app.inject(url)
    readiness.set({ ready: true })
    const ready = await app.inject(url)

    t.same([notReady.statusCode, ready.statusCode], [503, 200])
    t.equal(notReady.headers['cache-control'], 'no-store')
    t.equal(ready.headers['cache-control'], 'no-store')
  })

  test(`GET ${url} answers ready, or the reason why not`, async (t) => {
    const readiness = createReadiness()
    const app = createTestApp(t, { readiness })

    readiness.set({ ready: true, detail: 'for people only' })
    const ready = await app.inject(url)
    t.equal(ready.statusCode, 200)
    t.strictSame(ready.json(), { status: 'ready' })
    t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 200)

    for (const reason of REASONS) {
      readiness.set({ ready: false, reason, detail: `it is ${reason}` })
      const response = await app.inject(url)
      t.equal(response.statusCode, 503)
      t.strictSame(response.json(), { status: 'not_ready', reason, detail: `it is ${reason}` })
    }
    t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 503)
  })
}
