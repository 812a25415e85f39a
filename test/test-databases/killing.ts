import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Test } from 'tap'
import { findFreePort } from '../support/port.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/until.ts'
import { createWorld, type Lent, startLending, TOKEN } from './lending.ts'

const WORKERS = 8
/** A lease whose answer was lost in a kill ends after this. */
const TTL_SECONDS = 5
const LONGEST_LIFE_MS = 1500

/**
 * Kills two services on one database again and again, at moments that have nothing to do with each other, while
 * workers borrow and return at either: no database may be lent twice, or have anything in it, and in the end none
 * may be left.
 */
export async function killWhileLending(t: Test, kills: number, seed: number): Promise<void> {
  const random = createRandom(seed)
  t.comment(`seed ${seed}`)
  const { db, env, listDatabases } = await createWorld(t)
  const ports = [String(await findFreePort()), String(await findFreePort())]
  const settings = {
    ...env,
    TEST_DATABASES_MAX: String(WORKERS),
    TEST_DATABASES_TOKEN: TOKEN,
    LOG_LEVEL: 'info',
  }
  const holders = new Map<string, string>()
  const faults: string[] = []
  let isOver = false
  let cycles = 0

  /** Asks one of the services; undefined if it was killed before it answered. */
  async function call(method: string, path: string, body?: object) {
    try {
      const base = `http://127.0.0.1:${ports[Math.floor(random() * ports.length)]}`
      const headers = { authorization: `Bearer ${TOKEN}` }
      const init = { method, headers, ...(body && { body: JSON.stringify(body) }) }
      const response = await fetch(`${base}${path}`, init)
      const text = await response.text()
      return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
    } catch {
      return undefined
    }
  }

  async function use(worker: string, lent: Lent): Promise<void> {
    if (holders.has(lent.name))
      faults.push(`${lent.name} lent to ${worker}, has ${holders.get(lent.name)}`)
    holders.set(lent.name, worker)
    const client = new pg.Client({ connectionString: lent.url })
    client.on('error', () => {})
    await client.connect()
    const read = async () => {
      const { rows } = await client.query('select label from things order by id')
      return rows.map(({ label }) => label).join(' ')
    }
    const before = await read()
    if (before !== 'first second') faults.push(`${lent.name} is dirty: ${before}`)
    await client.query('insert into things (label) values ($1)', [worker])
    if (random() < 0.2) await client.query('create table left_behind (n int)')
    await sleep(random() * 30)
    const after = await read()
    if (after !== `first second ${worker}`) faults.push(`${lent.name} has other rows: ${after}`)
    await client.end()
    // From here on the next one may have it, even if the answer is lost.
    holders.delete(lent.name)
  }

  async function work(worker: string): Promise<void> {
    while (!isOver) {
      const answer = await call('POST', '/databases', { ttlSeconds: TTL_SECONDS, label: worker })
      if (answer?.status !== 201) {
        await sleep(20)
        continue
      }
      await use(worker, answer.body)
      const isReturned = async () => {
        const status = (await call('DELETE', `/databases/${answer.body.id}`))?.status
        return status === 204 || status === 404
      }
      while (!isOver && !(await isReturned())) await sleep(20)
      cycles++
    }
  }

  async function killRepeatedly(port: string): Promise<void> {
    for (let kill = 0; kill < kills / ports.length; kill++) {
      const service = startService(t, { ...settings, PORT: port })
      await service.waitForReady()
      await sleep(random() * LONGEST_LIFE_MS)
      await service.stop('SIGKILL')
    }
  }

  const workers = Array.from({ length: WORKERS }, (_, index) => work(`w${index}`))
  await Promise.all(ports.map(killRepeatedly))
  const last = await startLending(t, { ...settings, PORT: ports[0] ?? '0' })
  const before = cycles
  await until('lending goes on', () => cycles > before + WORKERS)
  isOver = true
  await Promise.all(workers)
  t.strictSame(faults, [])
  t.comment(`${cycles} cycles`)

  await until('all leases have ended, and all is clean', async () => {
    const { rows } = await db.pool.query<{ count: number }>(
      `select count(*)::int as count from provisioning.test_database where state <> 'ready'`,
    )
    return rows[0]?.count === 0
  })
  await last.stop()
  const { rows } = await db.pool.query<{ name: string }>(
    'select name from provisioning.test_database where is_template',
  )
  t.equal(rows.length, 1, 'there is one template')
  t.strictSame(
    await listDatabases(),
    rows.map(({ name }) => name),
    'and nothing else',
  )
}

/** Random numbers that a seed determines (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
