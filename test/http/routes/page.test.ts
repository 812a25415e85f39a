import { createHash } from 'node:crypto'
import { test } from 'tap'
import type { Database } from '../../../src/database/database.ts'
import { NOT_COMPARED } from '../../../src/drift/drift.ts'
import { createReadiness } from '../../../src/readiness.ts'
import { createOverviewReader } from '../../../src/status/overview.ts'
import { createStatusReader } from '../../../src/status.ts'
import { createTestApp } from '../../support/app.ts'
import { becomes } from '../../support/becomes.ts'
import { createPageData, createStatus, STATE_PAGES } from '../../support/page.ts'
import { createTestDatabase } from '../../support/postgres.ts'

const { overview } = createPageData()
const deps = {
  readStatus: async () => createStatus('ready', null),
  readOverview: async () => overview,
}

test('GET / is a document that may load and run nothing but itself', async (t) => {
  const { statusCode, headers, body } = await createTestApp(t, deps).inject('/')

  t.equal(statusCode, 200)
  t.match(headers, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  })
  const policy = String(headers['content-security-policy'])
  t.match(policy, "default-src 'none'")
  t.notMatch(policy, /unsafe|\*/)
  for (const element of ['style', 'script']) {
    const [, content = ''] = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(body) ?? []
    const hash = createHash('sha256').update(content).digest('base64')
    t.match(policy, `${element}-src 'sha256-${hash}'`)
  }
  t.notMatch(body, / style=| on\w+="|https?:\/\/(?!www\.w3\.org)/)
})

test('a page that is asked for again is sent only if it reads otherwise', async (t) => {
  const pages = [STATE_PAGES.ready, STATE_PAGES.ready, STATE_PAGES.migration_failed]
  const app = createTestApp(t, {
    ...deps,
    readStatus: async () => (pages.shift() ?? STATE_PAGES.ready).status,
  })
  const { etag } = (await app.inject('/')).headers
  const ask = () => app.inject({ url: '/', headers: { 'if-none-match': etag } })

  const same = await ask()
  t.equal(same.statusCode, 304)
  t.equal(same.body, '')
  t.equal((await ask()).statusCode, 200)
})

test('the page answers only to names that are allowed, and to GET and HEAD', async (t) => {
  const app = createTestApp(t, deps)
  const post = await app.inject({ url: '/', method: 'POST' })

  t.equal((await app.inject({ url: '/', headers: { host: 'evil.example' } })).statusCode, 421)
  t.equal((await app.inject({ url: '/', method: 'HEAD' })).statusCode, 200)
  t.match([post.statusCode, post.headers.allow], [405, 'GET, HEAD'])
})

test('no secret is shown, wherever it comes from', async (t) => {
  const secret = 'hunter2-and-more'
  const readiness = createReadiness()
  readiness.set({
    ...{ ready: false, reason: 'migrating', detail: `with ${secret}` },
    blockers: [{ pid: 1, gid: null, application: secret, state: 'active', ageMs: 1 }],
  })
  const [schema] = overview.schemas
  if (schema === undefined) throw new Error('no schema')
  const { body } = await createTestApp(t, {
    readiness,
    readStatus: async () => createStatus('migrating', `with ${secret}`),
    readOverview: async () => ({ schemas: [{ ...schema, comment: `password ${secret}` }] }),
    mask: (text) => text.replaceAll(secret, '***'),
  }).inject('/')

  t.notMatch(body, secret)
  t.match(body, /with \*\*\*.*<bdi>\*\*\*<\/bdi>.*password \*\*\*/s)
})

test('the page of a real database shows its tables, keys and procedures', async (t) => {
  const { name, pool } = await createTestDatabase(t, { from: 'migrated' })
  const readiness = createReadiness()
  readiness.set({ ready: true })
  const database = { kind: 'given', host: 'db', port: 5432, name, pool } as const
  let isSilent = false
  const silent = {
    ...database,
    pool: { query: () => new Promise(() => {}) },
  } as unknown as Database
  const sources = { readiness, database: () => (isSilent ? silent : database) }
  const app = createTestApp(t, {
    readiness,
    readStatus: createStatusReader({
      ...sources,
      startedAt: new Date(),
      migrationsDir: 'migrations',
      serverVersion: () => '18.4',
      reset: () => ({ enabled: false }),
      drift: () => NOT_COMPARED,
    }),
    readOverview: createOverviewReader(sources),
  })

  const { body } = await app.inject('/')
  t.match(body, /Diagram of schema commandbus: \d+ tables, \d+ foreign keys/)
  t.match(body, /<bdi>sp_start_batch<\/bdi>\(<bdi>p_domain text, p_batch_id uuid<\/bdi>\)/)
  t.match(body, '<p class="name"><span class="number">000001</span> <bdi>commandbus</bdi></p>')

  isSilent = true
  let answer: { readonly body: string } | undefined
  void app.inject('/').then((found) => {
    answer = found
  })
  await becomes(t, async () => answer !== undefined, true)
  t.match(answer?.body, '<bdi>sp_start_batch</bdi>')
})
