// Random sequences of borrowing and returning, by several clients at once, with right and wrong inputs: no
// answer is a 5xx or late, no database is lent twice or dirty, and none is lost.
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import pg from 'pg'
import { test } from 'tap'
import { createAnswerCheck, readBuiltDescription } from '../support/described.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startLending, TOKEN } from '../test-databases/lending.ts'
import { listUsualSteps, type Step, step } from './lending-steps.ts'

const MAX = 3
const CLIENTS = 4
const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 12)
const ANSWER_MS = 20_000

test('no sequence of requests to /databases loses a database, lends one twice, or is a fault', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const MIGRATIONS_DIR = createMigrationsFolder(t, [
    'create table public.item (id int);',
    'create table public.more (id int);',
  ])
  const service = await startLending(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR,
    TEST_DATABASES_MAX: String(MAX),
  })
  const address = (await service.waitForLog('listening at')).msg.slice('listening at '.length)
  const check = createAnswerCheck(readBuiltDescription())
  const statuses = new Map<string, number>()
  /** By id; of all clients. */
  const lent = new Map<string, { readonly name: string; readonly url: string }>()
  let requests = 0
  let aborted = 0

  async function ask(method: string, path: string, body?: string, signal?: AbortSignal) {
    const limit = AbortSignal.timeout(ANSWER_MS)
    const response = await fetch(`${address}${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}` },
      ...(body !== undefined && { body }),
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    })
    const text = await response.text()
    const { status } = response
    requests += 1
    statuses.set(`${method} ${status}`, (statuses.get(`${method} ${status}`) ?? 0) + 1)
    if (status >= 500) throw new Error(`${method} ${path}: ${status} ${text}`)
    const mismatch = check({
      method,
      url: path,
      status,
      headers: Object.fromEntries(response.headers),
      body: text,
    })
    if (mismatch !== undefined) throw new Error(mismatch)
    return { status, body: text === '' ? undefined : JSON.parse(text), headers: response.headers }
  }

  function expect(what: string, found: number, ...expected: number[]): void {
    if (!expected.includes(found))
      throw new Error(`${what}: ${found} instead of ${expected.join(' or ')}`)
  }

  async function lend({ body, isRight, abortMs }: Extract<Step, { does: 'lend' }>): Promise<void> {
    const signal = abortMs === null ? undefined : AbortSignal.timeout(abortMs)
    const answer = await ask('POST', '/databases', body, signal).catch((error) => {
      if (signal?.aborted && /Abort|Timeout/.test((error as Error).name)) return undefined
      throw error
    })
    if (answer === undefined) {
      aborted += 1
      return
    }
    const through = isRight ? JSON.parse(body).through : undefined
    expect(`lend ${body.slice(0, 80)}`, answer.status, ...(isRight ? [201, 429] : [400]))
    if (answer.status === 429 && !answer.headers.has('retry-after'))
      throw new Error('429 without Retry-After')
    if (answer.status !== 201) return
    const { id, name, url, history } = answer.body
    if (lent.has(id) || [...lent.values()].some((one) => one.name === name))
      throw new Error(`${name} was lent twice`)
    lent.set(id, { name, url })
    if (lent.size > MAX) throw new Error(`${lent.size} of ${MAX} are lent`)
    if (Number(history.last) !== Number(through ?? 2))
      throw new Error(`through ${through}: ${history.last}`)
  }

  async function use(url: string, name: string): Promise<void> {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      const { rows } = await client.query(
        `select to_regclass('public.dirt') is null and not exists (select from public.item) as clean`,
      )
      if (rows[0]?.clean !== true) throw new Error(`${name} is dirty`)
      await client.query('create table public.dirt (); insert into public.item values (1)')
    } finally {
      await client.end()
    }
  }

  /** Takes the lease, so that no other client of this test does something with it at the same time. */
  async function run(one: Step): Promise<void> {
    if (one.does === 'lend') return lend(one)
    if (one.does === 'list') return expect('list', (await ask('GET', '/databases')).status, 200)
    if (one.does === 'ask wrongly')
      return expect(
        `${one.method} ${one.path}`,
        (await ask(one.method, one.path, one.method === 'PUT' ? '{"ttlSeconds":60}' : undefined))
          .status,
        400,
        404,
        405,
      )
    const ids = [...lent.keys()]
    const id = ids[one.lease % (ids.length + 1)] ?? randomUUID()
    const found = lent.get(id)
    const known = found !== undefined
    if (one.does === 'find') {
      const { status } = await ask('GET', `/databases/${id}`)
      return expect('find', status, ...(known ? [200, 404] : [404]))
    }
    if (one.does === 'extend') {
      const { status } = await ask('PUT', `/databases/${id}/expiry`, one.body)
      return expect(
        `extend ${one.body}`,
        status,
        ...(one.isRight ? (known ? [200, 404] : [404]) : [400]),
      )
    }
    if (found === undefined)
      return expect('give back', (await ask('DELETE', `/databases/${id}`)).status, 404)
    // From here on it may be lent to another client.
    lent.delete(id)
    if (one.does === 'use') await use(found.url, found.name)
    expect('give back', (await ask('DELETE', `/databases/${id}`)).status, 204)
    expect('give back again', (await ask('DELETE', `/databases/${id}`)).status, 404)
  }

  const seed = Number(process.env.FUZZ_SEED ?? Math.trunc(Math.random() * 2 ** 31))
  t.comment(`FUZZ_SEED=${seed}`)
  const sequences = fc.array(fc.array(step, { minLength: 5, maxLength: 20 }), {
    minLength: 1,
    maxLength: CLIENTS,
  })
  await fc.assert(
    fc.asyncProperty(sequences, async (clients) => {
      await Promise.all(
        clients.map(async (steps) => {
          for (const one of steps) await run(one)
        }),
      )
      for (const id of [...lent.keys()]) {
        lent.delete(id)
        expect('give back at the end', (await ask('DELETE', `/databases/${id}`)).status, 204)
      }
      // The answer may have been on its way when a client went: such a lease lasts for its time.
      const { body: leases } = await ask('GET', '/databases')
      if (leases.length > aborted) throw new Error(`${leases.length} are lent, and ${aborted} went`)
      aborted = 0
      for (const { id } of leases)
        expect('give back', (await ask('DELETE', `/databases/${id}`)).status, 204)
      await service.waitForCounts({ lent: 0 })
    }),
    { seed, numRuns: ROUNDS, endOnFailure: true, examples: [[[listUsualSteps(MAX)]]] },
  )
  t.comment(`${requests} requests`, Object.fromEntries([...statuses].sort()))
  for (const seen of [
    'POST 201',
    'POST 400',
    'POST 429',
    'PUT 200',
    'PUT 400',
    'DELETE 204',
    'DELETE 404',
  ]) {
    t.ok(statuses.has(seen), `some got ${seen}`)
  }

  const all = await Promise.all(Array.from({ length: MAX }, () => service.lend({ waitMs: 60_000 })))
  t.equal(new Set(all.map(({ name }) => name)).size, MAX, 'none was lost')
  for (const one of all) await use(one.url, one.name)
  for (const one of all) await service.giveBack(one)
  t.strictSame(
    service.log().filter(({ level }) => level === 'error' || level === 'fatal'),
    [],
  )
  t.match(await service.stop(), { code: 0 })
})
