// The server crashes again and again while workers borrow and return at two services, and sometimes one of these is
// killed, too: no database is lent twice or dirty, and none is left. Each borrower keeps what it has for a while after
// a crash, also a lease that was forgotten.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { until } from '../../support/until.ts'
import { createRandom } from '../../test-databases/killing.ts'
import { type LendingService, type Lent, runIn } from '../../test-databases/lending.ts'
import { withScope } from '../faults/scope.ts'
import { createTemplate, DATABASE, ROLE } from '../faults/server.ts'
import { CLEAN_ROWS, MINE, openWorld, PASSWORD } from '../faults/world.ts'
import { startLending } from './situations.ts'

const CRASHES = 12
const WORKERS = 7
const KEPT_AFTER_CRASH_MS = 1500
/** Longer than a borrower keeps it; a lease whose answer was lost with its service ends after this. */
const TTL_SECONDS = 30

test('a server that crashes 12 times lends no database twice, and leaves none', async (t) => {
  await withScope(async (scope) => {
    const seed = Date.now() % 100_000
    const random = createRandom(seed)
    const world = await openWorld(scope, await createTemplate(scope, PASSWORD))
    // What nobody waits for is forgotten.
    await world.server.query(`alter system set wal_writer_delay = '10s'`)
    await world.server.query(`alter system set wal_writer_flush_after = '1GB'`)
    await world.server.query('select pg_reload_conf()')
    const urlFile = join(world.server.folder, 'direct-url')
    writeFileSync(
      urlFile,
      `postgres://${ROLE}:${PASSWORD}@127.0.0.1:${world.server.port}/${DATABASE}`,
    )
    const env = { DATABASE_URL_FILE: urlFile }
    const services: LendingService[] = [
      await startLending(world, env),
      await startLending(world, env),
    ]
    const holders = new Map<string, string>()
    const faults: string[] = []
    let crashes = 0
    let isOver = false
    scope.teardown(() => {
      isOver = true
    })
    let cycles = 0
    let forgotten = 0

    const pick = () => (random() < 0.5 ? 0 : 1)
    /** Asks one of the services; undefined if there is no answer, or none that says anything of the lease. */
    async function ask(method: string, path: string, body?: object) {
      const answer = await services[pick()]?.call(method, path, body).catch(() => undefined)
      return answer?.status === 503 ? undefined : answer
    }
    async function askAgain(method: string, { id }: Lent): Promise<number> {
      let status: number | undefined
      await until(`an answer to ${method}`, async () => {
        status = (await ask(method, `/databases/${id}`))?.status
        return status !== undefined
      })
      return status as number
    }

    async function use(worker: string, lent: Lent): Promise<void> {
      if (holders.has(lent.name)) {
        faults.push(`${lent.name} is lent to ${worker}, and ${holders.get(lent.name)} has it`)
      }
      holders.set(lent.name, worker)
      const before = crashes
      await sleep(random() * 60)
      if (random() < 0.5) {
        // In a crash there is no answer.
        const found = await runIn(lent.url, READ).catch(() => undefined)
        const rows = found?.rows[0].found
        if (rows !== undefined && rows !== CLEAN_ROWS) faults.push(`${lent.name} is dirty: ${rows}`)
        await runIn(lent.url, MINE).catch(() => {})
      }
      if (crashes === before) return
      if ((await askAgain('GET', lent)) === 404) forgotten++
      await sleep(KEPT_AFTER_CRASH_MS)
    }

    async function work(worker: string): Promise<void> {
      while (!isOver) {
        const request = { label: worker, waitMs: 2000, ttlSeconds: TTL_SECONDS }
        const answer = await ask('POST', '/databases', request)
        if (answer?.status !== 201) {
          await sleep(20)
          continue
        }
        await use(worker, answer.body)
        holders.delete(answer.body.name)
        await askAgain('DELETE', answer.body)
        cycles++
      }
    }

    async function crash(): Promise<void> {
      const client = await world.server.connect()
      const { rows } = await client.query('select pg_backend_pid() as pid')
      const ended = new Promise((resolve) => client.once('end', resolve))
      crashes++
      process.kill(rows[0].pid, 'SIGKILL')
      await ended
      if (random() > 0.3) return
      const killed = pick()
      await services[killed]?.stop('SIGKILL')
      await until('the server has recovered', () =>
        world.server.query('select').then(
          () => true,
          () => false,
        ),
      )
      services[killed] = await startLending(world, env)
    }

    const workers = Array.from({ length: WORKERS }, (_, index) => work(`w${index}`))
    while (crashes < CRASHES) {
      await sleep(300 + random() * 900)
      await crash()
      const before = cycles
      await until('lending goes on', () => cycles > before + WORKERS)
    }
    isOver = true
    await Promise.all(workers)
    t.strictSame(faults, [])
    t.comment(`seed ${seed}: ${cycles} cycles, ${forgotten} leases were forgotten`)

    await until('all leases have ended, and all is clean', async () => {
      const { rowCount } = await world.server.query(
        `select from provisioning.test_database where state <> 'ready'`,
      )
      return rowCount === 0
    })
    for (const service of services) t.match(await service.stop(), { code: 0 })
    const { rows } = await world.server.query(
      `select name from provisioning.test_database
        union
       select datname from pg_database
        where datname not in ('postgres', 'template0', 'template1', '${DATABASE}')`,
    )
    t.equal(rows.length, 1, 'only the template is left')
  })
})

const READ = `
  select concat_ws('; ', (select string_agg(label, ',' order by id) from public.things),
                   (select amount from public.held),
                   (select count(*) from public.padding)) as found`
