import { Ajv2020 } from 'ajv/dist/2020.js'
import { test } from 'tap'
import { describeRoutes, listRoutes } from '../../scripts/openapi.ts'
import { ERROR_CODES } from '../../src/errors/codes.ts'
import { createReadiness } from '../../src/readiness.ts'
import { createStatusReader } from '../../src/status.ts'
import { createTestApp } from '../support/app.ts'
import { readProjectFile } from '../support/files.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

interface Operation {
  readonly responses: Record<string, { readonly content: Record<string, { schema: object }> }>
}

interface Description {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, object> }
}

const description = describeRoutes(await listRoutes()) as unknown as Description

test('the OpenAPI description covers exactly the routes of the service', async (t) => {
  const app = createTestApp(t, {
    reset: { token: '', assertReady: () => {}, reset: async () => t.fail() as never },
  })
  await app.ready()
  // `/readyz (GET, HEAD)`, a line for each path.
  const registered = [...app.printRoutes({ commonPrefix: false }).matchAll(/(\/\w+) \((.+)\)/g)]
    .flatMap(([, path, methods = '']) =>
      methods.split(', ').map((method) => `${method.toLowerCase()} ${path}`),
    )
    .filter((route) => !route.startsWith('head '))

  const described = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  )

  t.ok(registered.includes('post /reset'))
  t.same(described.sort(), registered.sort())
})

test('the build contains the description', async (t) => {
  t.same(JSON.parse(readProjectFile('dist/openapi.json')), description)
})

test('every reference in the description leads to a component', async (t) => {
  const references = JSON.stringify(description).matchAll(/"#\/components\/schemas\/(\w+)"/g)
  const names = new Set([...references].map(([, name]) => name ?? ''))

  t.same([...names].sort(), Object.keys(description.components.schemas).sort())
})

/** Checks a response against the schema that the description gives for it. */
function findMismatch(path: string, method: string, status: number, body: unknown): unknown {
  const content = description.paths[path]?.[method]?.responses[status]?.content ?? {}
  const [media] = Object.values(content)
  if (media === undefined) return `no response ${status} of ${method} ${path} is described`
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  const validate = ajv.compile({ ...media.schema, components: description.components })
  return validate(body) ? undefined : validate.errors
}

test('the responses of probes are as described', async (t) => {
  const readiness = createReadiness()
  const app = createTestApp(t, { readiness })

  for (const url of ['/livez', '/readyz', '/health']) {
    const { statusCode, json } = await app.inject(url)
    t.equal(findMismatch(url, 'get', statusCode, json()), undefined)
  }
  readiness.set({ ready: true })
  const ready = await app.inject('/readyz')
  t.equal(findMismatch('/readyz', 'get', 200, ready.json()), undefined)
  t.ok(findMismatch('/readyz', 'get', 200, { status: 'not_ready' }), 'the check can fail')
})

test('the status of a database with migrations is as described', async (t) => {
  const { name, pool } = await createTestDatabase(t, { from: 'migrated' })
  const database = { kind: 'given', host: 'db', port: 5432, name, pool } as const
  const readStatus = createStatusReader({
    startedAt: new Date(),
    migrationsDir: createMigrationsFolder(t, ['select 1;', 'select 2;', 'select 3;']),
    readiness: { current: { ready: true } },
    database: () => database,
    serverVersion: () => '18.4',
    reset: () => ({ enabled: true, count: 1, lastAt: new Date(), lastDurationMs: 2.5 }),
  })

  const { statusCode, json } = await createTestApp(t, { readStatus }).inject('/status')

  t.equal(statusCode, 200)
  t.equal(json().migrations.applied.length > 0, true)
  t.equal(findMismatch('/status', 'get', 200, json()), undefined)
})

test('a reset describes its report, and every error that it can answer', async (t) => {
  const blocker = { pid: 1, gid: null, application: 'a', state: 'active', ageMs: 1, query: null }
  const report = {
    mode: 'data' as const,
    durationMs: 1.5,
    tables: { emptied: ['a.b'], restored: [] },
    sequences: [],
    queues: { emptied: [], dropped: [] },
    terminated: [{ ...blocker, mayNotEnd: false }],
  }
  const token = 'a-token-long-enough'
  const app = createTestApp(t, {
    reset: { token, assertReady: () => {}, reset: async () => report },
  })
  const post = (authorization?: string, payload = '{}') =>
    app.inject({
      method: 'POST',
      url: '/reset',
      payload,
      headers: authorization === undefined ? {} : { authorization },
    })

  for (const [response, status] of [
    [await post(`Bearer ${token}`), 200],
    [await post(), 401],
    [await post('Bearer wrong'), 403],
    [await post(`Bearer ${token}`, '[]'), 400],
  ] as const) {
    t.equal(response.statusCode, status)
    t.equal(findMismatch('/reset', 'post', status, response.json()), undefined)
  }
  const described = JSON.stringify(description.paths['/reset'])
  for (const code of ['locked', 'schema_changed', 'not_ready'] as const) {
    t.match(described, `\`${code}\`: ${ERROR_CODES[code].meaning}`)
  }
})
