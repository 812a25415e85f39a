import pg from 'pg'
import { settled, until } from '../../support/until.ts'
import type { LendingService, Lent } from '../../test-databases/lending.ts'
import type { Fault } from '../faults/faults.ts'
import { withScope } from '../faults/scope.ts'
import { DATABASE, type Template } from '../faults/server.ts'
import { CLEAN_ROWS, DIRTY_ROWS, openWorld, type World } from '../faults/world.ts'
import { MAX, type Situation, SPARE, type Stage, startLending } from './situations.ts'

export interface Cell {
  readonly fault: Fault
  readonly situation: Situation
}

/** What was answered while the fault lasted: a status, with the code of a problem. */
export interface Observation {
  readonly post: string
  readonly get: string
  /** Of the database that is returned; undefined where none is lent. */
  readonly delete: string | undefined
  /** From the end of the fault until a database was lent. */
  readonly healsMs: number
}

/** The fault has not begun yet: a busy machine did not come to the situation in time. */
export class NotReachedError extends Error {}

/** A loss shows within two seconds. */
const SHOWS_WITHIN_MS = 2500
const WAIT_MS = 500
/** Longer than any limit of the service for one query. */
const ANSWERS_WITHIN_MS = 20_000

/** Lets the fault happen in the situation; throws if a lease or a row is lost, or if lending does not heal. */
export function runCell(template: Template, { fault, situation }: Cell): Promise<Observation> {
  return withScope(async (scope) => {
    const world = await openWorld(scope, template)
    await fault.prepare?.(world)
    let service: LendingService | undefined
    try {
      const stage = await situation.reach(world).catch((error) => {
        throw new NotReachedError(`${situation.name} was not reached: ${error.message}`)
      })
      service = stage.service
      await fault.begin(world, { isAtStart: false })
      // In the first moment nobody knows of the fault.
      const early = await ask(service, 'POST', '/databases', { waitMs: WAIT_MS })
      await ask(service, 'GET', '/databases')
      await waitForChange(service)
      const seen = await askAll(stage, fault.keepsAnswering === true)
      await fault.end(world)
      const endedAt = performance.now()
      await stage.release?.()
      const first = await lendAgain(service)
      const healsMs = performance.now() - endedAt
      const more = [early.lent, seen.lent, first].flatMap((lent) => (lent ? [lent] : []))
      await assertNothingLost(world, stage, more)
      return { ...seen.observed, healsMs }
    } catch (error) {
      if (error instanceof NotReachedError) throw error
      const lines = service?.output().split('\n').slice(-40).join('\n')
      throw new Error(`${fault.name} × ${situation.name}: ${(error as Error).message}\n${lines}`, {
        cause: error,
      })
    }
  })
}

/** Waits until `/readyz` shows the fault, or long enough to know that it does not. */
async function waitForChange(service: LendingService): Promise<void> {
  const deadline = performance.now() + SHOWS_WITHIN_MS
  await until('the fault shows, or does not', async () => {
    return (await service.get('/readyz')).status !== 200 || performance.now() > deadline
  })
}

interface Asked {
  readonly answer: string
  /** The service only says that the database was slow to answer. */
  readonly isSlow?: boolean
  readonly lent?: Lent
}

async function ask(
  { call }: LendingService,
  method: string,
  path: string,
  body?: object,
): Promise<Asked> {
  const signal = AbortSignal.timeout(ANSWERS_WITHIN_MS)
  const { status, body: found } = await call(method, path, body, { signal })
  if (status === 500) throw new Error(`${method} ${path}: ${JSON.stringify(found)}`)
  if (status === 201) return { answer: '201', lent: found }
  return {
    answer: found?.code ? `${status} \`${found.code}\`` : String(status),
    isSlow: /not answer in time|no answer within/.test(found?.detail),
  }
}

/** Where the server answers throughout, a slow answer is that of a busy machine. */
async function askAll({ service, returned }: Stage, keepsAnswering: boolean) {
  const askPatiently = async (method: string, path: string, body?: object) => {
    let asked = await ask(service, method, path, body)
    while (keepsAnswering && asked.isSlow) asked = await ask(service, method, path, body)
    return asked
  }
  const post = await askPatiently('POST', '/databases', { waitMs: WAIT_MS })
  const get = await askPatiently('GET', '/databases')
  const remove = returned && (await askPatiently('DELETE', `/databases/${returned.id}`))
  return {
    observed: { post: post.answer, get: get.answer, delete: remove?.answer },
    lent: post.lent,
  }
}

/** As a client that tries again. */
async function lendAgain(service: LendingService): Promise<Lent> {
  let last: Asked | undefined
  await until('a database is lent again', async () => {
    last = await ask(service, 'POST', '/databases', { waitMs: 5000 })
    return last.lent !== undefined
  }).catch((error) => {
    throw new Error(`${error.message}: ${last?.answer}`)
  })
  return last?.lent as Lent
}

async function assertNothingLost(
  world: World,
  { service, kept, returned }: Stage,
  more: readonly Lent[],
): Promise<void> {
  if (returned !== undefined) {
    // If the answer was lost, it may have been returned all the same.
    await until('it is returned', async () => {
      const { status } = await service.call('DELETE', `/databases/${returned.id}`)
      return status === 204 || status === 404
    })
  }
  if (kept !== undefined) {
    await assertLent(service, kept)
    await assertRows(world, kept, DIRTY_ROWS)
  }
  const lent = [...more]
  while (lent.length < MAX - (kept ? 1 : 0)) lent.push(await lendAgain(service))
  const all = [...lent, ...(kept ? [kept] : [])]
  if (new Set(all.map(({ name }) => name)).size !== MAX) {
    throw new Error(`one is lent twice: ${all.map(({ name }) => name)}`)
  }
  for (const one of lent) {
    if (new URL(one.url).port !== String(world.server.port)) throw new Error('another address')
    await assertLent(service, one)
    await assertRows(world, one, CLEAN_ROWS)
  }
  for (const one of all) {
    await until('it is returned', async () => {
      return (await service.call('DELETE', `/databases/${one.id}`)).status === 204
    })
  }
  await until('all are ready again, and nothing is left to be done', async () => {
    const states = await list(
      world,
      'select state as name from provisioning.test_database where not is_template',
    )
    return states.length >= SPARE && states.every((state) => state === 'ready')
  })

  await assertStops(service)
  // On a busy machine a stop has no time to drop all of them.
  const left = await listDatabases(world)
  if (left.length > 1) await assertDropped(world, left)
}

/** Lets the next start drop what is left of an earlier one, but for the template. */
async function assertDropped(world: World, left: readonly string[]): Promise<void> {
  const next = await startLending(world)
  await until('the next start drops what is left', async () => {
    const names = await listDatabases(world)
    return left.filter((name) => names.includes(name)).length <= 1
  })
  await assertStops(next)
}

async function assertStops(service: LendingService): Promise<void> {
  const { code } = await settled('the service stops', service.stop())
  if (code !== 0) throw new Error(`stopped with ${code}`)
}

/** Those that exist or are listed, the template included. */
function listDatabases(world: World): Promise<string[]> {
  return list(
    world,
    `select name from provisioning.test_database
      union
     select datname from pg_database
      where datname not in ('postgres', 'template0', 'template1', '${DATABASE}')`,
  )
}

async function assertLent({ call }: LendingService, { id, name }: Lent): Promise<void> {
  await until(`${name} is lent`, async () => {
    const { status, body } = await call('GET', `/databases/${id}`)
    if (status !== 503 && body?.name !== name)
      throw new Error(`the lease of ${name} is lost: ${status}`)
    return status === 200
  })
}

/** Reads as superuser: the password of the answer may not be valid any more. */
async function assertRows({ server }: World, { name }: Lent, expected: string): Promise<void> {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port: server.port, user: 'postgres', database: name },
  })
  await client.connect()
  const { rows } = await client.query(
    `select concat_ws('; ', (select string_agg(label, ',' order by id) from public.things),
                      (select amount from public.held),
                      (select count(*) from public.padding)) as found`,
  )
  await client.end()
  if (rows[0]?.found !== expected) throw new Error(`${name} has ${rows[0]?.found}`)
}

async function list({ server }: World, sql: string): Promise<string[]> {
  return (await server.query(sql)).rows.map(({ name }) => String(name))
}
