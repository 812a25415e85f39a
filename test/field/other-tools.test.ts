import { Logger, type Runner, run } from 'graphile-worker'
import PgBoss from 'pg-boss'
import { type Test, test } from 'tap'
import { startResetting, THINGS } from '../reset/running.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'

/** A job library, working in the database that is reset. */
interface JobQueue {
  readonly schema: string
  /** Adds a job; resolves once it has run. */
  work(label: string): Promise<void>
  stop(): Promise<void>
}

async function startPgBoss(t: Test, url: string): Promise<JobQueue> {
  const boss = new PgBoss({ connectionString: url, max: 3 })
  const errors: unknown[] = []
  boss.on('error', (error) => errors.push(error))
  await boss.start()
  await boss.createQueue('labels')
  const done = new Set<string>()
  await boss.work<{ label: string }>('labels', { pollingIntervalSeconds: 0.5 }, async ([job]) => {
    done.add(job?.data.label ?? '')
  })
  const stop = () => boss.stop({ graceful: false, wait: true })
  t.teardown(stop)
  return {
    schema: 'pgboss',
    async work(label) {
      await boss.send('labels', { label })
      await until(`pg-boss runs ${label}`, async () => done.has(label))
    },
    async stop() {
      await stop()
      t.same(errors, [], 'pg-boss reports no error')
    },
  }
}

async function startGraphileWorker(t: Test, url: string): Promise<JobQueue> {
  const done = new Set<string>()
  const runner: Runner = await run({
    connectionString: url,
    pollInterval: 500,
    noHandleSignals: true,
    crontab: '',
    logger: new Logger(() => () => {}),
    taskList: {
      label: async (payload) => {
        done.add((payload as { label: string }).label)
      },
    },
  })
  const stop = () => runner.stop().catch(() => {})
  t.teardown(stop)
  return {
    schema: 'graphile_worker',
    async work(label) {
      await runner.addJob('label', { label })
      await until(`graphile-worker runs ${label}`, async () => done.has(label))
    },
    stop,
  }
}

const LIBRARIES = { 'pg-boss': startPgBoss, 'graphile-worker': startGraphileWorker } as const

for (const [name, start] of Object.entries(LIBRARIES)) {
  test(`${name} works before, during and after resets and a rebuild that ignore its schema`, async (t) => {
    const { url, pool } = await createTestDatabase(t, { from: 'empty' })
    const service = await startResetting(t, {
      DATABASE_URL: url,
      MIGRATIONS_DIR: createMigrationsFolder(t, [THINGS.first]),
      RESET_IGNORE_SCHEMAS: 'pgboss,graphile_worker',
    })
    const queue = await start(t, url)
    await queue.work('before')

    let isResetting = true
    const working = (async () => {
      for (let number = 1; isResetting; number += 1) await queue.work(`during ${number}`)
    })()
    for (let number = 1; number <= 20; number += 1) {
      await pool.query(THINGS.dirt)
      t.match(await service.reset(), {
        status: 200,
        body: { tables: { restored: ['public.things'] } },
      })
    }
    t.match(await service.reset({ mode: 'rebuild' }), { status: 200 })
    t.match(await service.reset(), { status: 200 })
    isResetting = false
    await working
    await queue.work('after')
    await queue.stop()
  })
}
