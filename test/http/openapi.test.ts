import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import { test } from 'tap'
import { ALL_DEPS } from '../../scripts/openapi/routes.ts'
import { ensureRecorder } from '../../src/baseline/recorder.ts'
import { keepCommittedObjects, recordFailureSql } from '../../src/drift/current-changes.ts'
import { ERROR_CODES } from '../../src/errors/codes.ts'
import { EXAMPLE_STATUS } from '../../src/http/schemas/status-example.ts'
import { createReadiness } from '../../src/readiness.ts'
import { createStatusReader } from '../../src/status.ts'
import { createTestApp, description } from '../support/app.ts'
import { createAnswerCheck, type SeenAnswer } from '../support/described.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { projectDir } from '../support/server.ts'

/** Lists what the router of the service has, as `get /docs/{file}`. */
function readRouter(tree: string): string[] {
  const parents: string[] = []
  return tree.split('\n').flatMap((line) => {
    const [, indent = '', part, methods = ''] = /^(.*?)[├└]── (\S+)(?: \((.*)\))?$/.exec(line) ?? []
    if (part === undefined) return []
    const depth = indent.length / 4
    parents.splice(depth, parents.length, part)
    const path = parents.join('').replace(/:(\w+)/g, '{$1}')
    return methods.split(', ').map((method) => `${method.toLowerCase()} ${path}`)
  })
}

test('the description covers exactly the routes of the service', async (t) => {
  const app = createTestApp(t, ALL_DEPS)
  await app.ready()
  const registered = readRouter(app.printRoutes({ commonPrefix: false }))
  const described = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  )

  t.ok(registered.includes('post /reset') && registered.includes('get /docs/{file}'))
  t.same(described.sort(), registered.filter((route) => !route.startsWith('head ')).sort())
})

test('the description is valid OpenAPI 3.1 by its meta-schema', async (t) => {
  const { valid, errors } = await new Validator().validate({ ...description })

  t.strictSame([valid, errors], [true, undefined])
  const { paths: _, ...planted } = { ...description, components: { schemas: [] } }
  t.notOk((await new Validator().validate(planted)).valid, 'the check can fail')
})

const FILES = mkdtempSync(join(tmpdir(), 'commandbus-openapi-'))

function lint(document: unknown): string {
  const file = join(FILES, 'openapi.json')
  writeFileSync(file, JSON.stringify(document))
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
  const command = [join(projectDir, 'node_modules/.bin/redocly'), 'lint', '--format=json', file]
  try {
    return execFileSync(process.execPath, command, { env, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

test("Redocly's linter finds nothing in it", async (t) => {
  t.teardown(() => rmSync(FILES, { recursive: true }))

  t.match(JSON.parse(lint(description)).totals, { errors: 0, warnings: 0, ignored: 0 })
  const planted = JSON.stringify(description).replace('"status":"live"', '"status":"dead"')
  t.match(lint(JSON.parse(planted)), 'no-invalid-media-type-examples', 'the check can fail')
})

const NOT_DESCRIBED = [
  // Nobody receives it.
  'client_gone',
  // Of a body that Fastify reads itself: no route has one.
  'body_not_json',
  'body_too_large',
  'unsupported_media_type',
  // It answers requests that lead to no route.
  'method_not_allowed',
]

test('each code that has an HTTP status is described, with an example', async (t) => {
  const text = JSON.stringify(description)
  const codes = Object.entries(ERROR_CODES).filter(([, entry]) => 'status' in entry)

  const missing = codes
    .map(([code]) => code)
    .filter((code) => !text.includes(`"const":"${code}"`) || !text.includes(`"code":"${code}"`))

  t.strictSame(missing.sort(), [...NOT_DESCRIBED].sort())
})

test('every operation has what a reader needs', async (t) => {
  const ids = new Set<string>()
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const name = `${method} ${path}`
      const { operationId, summary, tags, security } = operation
      t.match(operationId, /^[a-z][A-Za-z]+$/, name)
      t.match([summary, tags, security], [/^[A-Z].*[^.]$/, [String], Array], name)
      t.notOk(ids.has(operationId), `${name}: ${operationId} is unique`)
      ids.add(operationId)
    }
  }
})

test('an answer that is not as described is found', async (t) => {
  const find = createAnswerCheck(description)
  const json = { 'content-type': 'application/json; charset=utf-8' }
  const problem = { 'content-type': 'application/problem+json' }
  const good: SeenAnswer = {
    method: 'GET',
    url: '/readyz?x',
    status: 200,
    headers: json,
    body: '{"status":"ready"}',
  }
  const notFound = {
    ...good,
    url: '/nowhere',
    status: 404,
    headers: problem,
    body: '{"type":"about:blank","title":"Not Found","status":404,"detail":"a","code":"route_not_found"}',
  }

  t.equal(find(good), undefined)
  t.equal(find({ ...good, method: 'HEAD', body: '' }), undefined)
  t.equal(find(notFound), undefined)
  for (const [wrong, what] of [
    [{ ...good, body: '{"status":"not_ready"}' }, /equal to constant/],
    [{ ...good, body: '{"status":"ready","more":1}' }, /additional properties/],
    [{ ...good, status: 503 }, /is not as described/],
    [{ ...good, status: 202 }, /status is not described/],
    [{ ...good, headers: problem }, /its type is/],
    [{ ...good, method: 'HEAD' }, /it has a body/],
    [{ ...good, url: '/openapi.json', body: '{}' }, /the header ETag is undefined/],
    [{ ...notFound, status: 400 }, /another status/],
    [{ ...notFound, headers: json }, /its type is/],
    [{ ...notFound, body: notFound.body.replace('route_not_found', 'locked') }, /code of a route/],
  ] as const) {
    t.match(find(wrong), what)
  }
})

/** What a JSON value is made of: the names of its members, with the first item for a list. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf)
  if (typeof value !== 'object' || value === null) return 'value'
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shapeOf(item)]))
}

test('the status of a database with migrations is as described, and the example has all its members', async (t) => {
  const { name, pool } = await createTestDatabase(t, { from: 'migrated' })
  const migrationsDir = createMigrationsFolder(t, ['select 1;', 'select 2;', 'select 3;'])
  writeFileSync(join(migrationsDir, 'current.sql'), 'create view commandbus.seen as select 1;\n')
  await ensureRecorder(pool)
  await pool.query('select provisioning.record_schema()')
  await keepCommittedObjects(pool)
  await pool.query(
    'create view commandbus.seen as select 1 as one; select provisioning.record_schema()',
  )
  await pool.query(recordFailureSql({ message: 'no', file: 'current.sql', line: 1 }))
  const readiness = createReadiness()
  readiness.set({ ready: true })
  const readStatus = createStatusReader({
    startedAt: new Date(),
    migrationsDir,
    readiness,
    database: () => ({ kind: 'given', host: 'db', port: 5432, name, pool }),
    serverVersion: () => '18.4',
    reset: () => ({ enabled: true, count: 1, lastAt: new Date(), lastDurationMs: 2.5 }),
    testDatabases: { max: 8, count: async () => ({ max: 8, lent: 3, ready: 4 }) },
    drift: () => ({
      checkedAt: new Date(),
      inSync: false,
      differences: [{ kind: 'table', name: 'public.a', change: 'dropped', detail: 'columns id' }],
    }),
  })

  // The app's own check compares it with the description.
  const status = (await createTestApp(t, { readStatus }).inject('/status')).json()

  t.ok(status.migrations.applied.length > 0)
  const [schema] = Object.values(status.schemas)
  t.strictSame(shapeOf(EXAMPLE_STATUS), shapeOf({ ...status, schemas: { shop: schema } }))
})
