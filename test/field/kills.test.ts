// Kills at random moments of a run of migrations: the database always stands between two of them, and
// the next start completes them.
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { type Service, startService } from '../support/service.ts'
import { settled } from '../support/until.ts'
import { withScope } from './faults/scope.ts'

const KILLS = Number(process.env.KILLS ?? 200)
const seed = Number(process.env.KILLS_SEED ?? Date.now() % 1_000_000_000)
/** Most of a run is waiting: for the start of a process, and in `pg_sleep`. */
const AT_ONCE = 4
const COUNT = 20
/** Its number is that of the migration that runs outside a transaction. */
const CONCURRENT = 10

const BODIES = Array.from({ length: COUNT }, (_, index) => {
  const number = index + 1
  if (number === CONCURRENT) {
    return `--! no-transaction
create index concurrently if not exists things_text_idx on public.things (text);`
  }
  const first = `create table public.done (number int);
    create table public.things as
    select md5(number::text) as text from generate_series(1, 20000) as number;`
  return `${number === 1 ? first : ''}
    create table public.step_${number} ();
    select pg_sleep(0.01);
    insert into public.done values (${number});`
})
const TRANSACTIONAL = BODIES.map((_, index) => index + 1).filter((number) => number !== CONCURRENT)

/** Numbers from 0 to 1 that depend on the seed only (mulberry32). */
function createRandom(from: number): () => number {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

test(`${KILLS} kills at random moments (KILLS_SEED=${seed})`, async (t) => {
  t.comment(`KILLS_SEED=${seed}`)
  const folder = createMigrationsFolder(t, BODIES)
  const random = createRandom(seed)
  let kills = 0
  let databases = 0
  const problems: string[] = []
  // How long all migrations take on this machine now, with as many others beside them.
  let runMs = 1000

  /** One database, from nothing to the last migration. */
  async function migrate(): Promise<void> {
    await withScope(async (scope) => {
      const { url, pool } = await createTestDatabase(scope, { from: 'empty' })
      while (true) {
        const env = { DATABASE_URL: url, MIGRATIONS_DIR: folder }
        const service = startService(scope, env, [process.execPath, 'dist/app/migrate-once.js'])
        const isKilled = kills < KILLS && (await killLater(service, random() * runMs))
        const { code } = await settled('the service ends', service.ended)
        const found = await readDone(pool)
        problems.push(...findProblems(found))
        if (!isKilled) {
          if (code !== 0 || found.recorded !== COUNT) {
            problems.push(`exit ${code} with ${found.recorded} migrations: ${service.output()}`)
          }
          runMs = Math.max(runMs, readRunMs(service))
          return
        }
        kills++
      }
    })
  }

  const work = async () => {
    while (kills < KILLS && problems.length === 0 && databases++ < 2 * KILLS) await migrate()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))

  t.strictSame(problems, [], 'always at a boundary, always completed by the next start')
  t.ok(kills >= KILLS)
})

/** From the first line of a run to its last migration. */
function readRunMs(service: Service): number {
  const lines = service.log()
  const last = lines.findLast(({ msg }) => msg === 'migration applied')
  const [first, end] = [lines[0], last].map((line) => Date.parse(String(line?.time)))
  // Nothing may have been left to apply.
  return last === undefined ? 0 : (end ?? 0) - (first ?? 0)
}

/** Kills the service `delayMs` after its first line; false if it ended before. */
async function killLater(service: Service, delayMs: number): Promise<boolean> {
  const { child, ended } = service
  let hasEnded = false
  void ended.then(() => {
    hasEnded = true
  })
  while (!hasEnded && service.log().length === 0) await sleep(5)
  await Promise.race([ended, sleep(delayMs)])
  return !hasEnded && child.kill('SIGKILL')
}

interface Done {
  readonly recorded: number
  readonly tables: readonly number[]
  readonly rows: readonly number[]
  readonly hasIndex: boolean
}

/** In one snapshot: the backend of a process that was killed may still commit. */
async function readDone(pool: pg.Pool): Promise<Done> {
  const client = await pool.connect()
  try {
    await client.query('begin isolation level repeatable read')
    const read = async (sql: string) => (await client.query(sql)).rows.map(({ value }) => value)
    const tables = await read(
      `select substr(relname, 6)::int as value from pg_class
        where relname like 'step\\_%' and relkind = 'r' order by 1`,
    )
    const [hasDone] = await read(`select to_regclass('public.done') is not null as value`)
    const rows = hasDone ? await read('select number as value from public.done order by 1') : []
    const [hasHistory] = await read(
      `select to_regclass('graphile_migrate.migrations') is not null as value`,
    )
    const [recorded] = hasHistory
      ? await read('select count(*)::int as value from graphile_migrate.migrations')
      : [0]
    const [hasIndex = false] = await read(
      `select indisvalid as value from pg_index
        where indexrelid = to_regclass('public.things_text_idx')`,
    )
    return { recorded, tables, rows, hasIndex }
  } finally {
    await client.query('rollback').catch(() => {})
    client.release()
  }
}

function findProblems({ recorded, tables, rows, hasIndex }: Done): string[] {
  const expected = String(TRANSACTIONAL.filter((number) => number <= recorded))
  return [
    ...(String(tables) === expected ? [] : [`${recorded} are recorded, the tables are ${tables}`]),
    ...(String(rows) === expected ? [] : [`${recorded} are recorded, the rows are ${rows}`]),
    ...(recorded >= CONCURRENT && !hasIndex ? ['the index is recorded, but not valid'] : []),
  ]
}
