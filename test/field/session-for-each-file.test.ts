import { randomBytes } from 'node:crypto'
import pg from 'pg'
import pino from 'pino'
import { type Test, test } from 'tap'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import { runTool } from '../../src/migrations/tool/runner.ts'
import { createRandom, shuffle } from '../mutations/random.ts'
import { hasPostgres15, startPostgres15 } from '../support/debian-server.ts'
import { createMigrationsFolder, writeCommitted } from '../support/migrations-folder.ts'
import { loadServer } from '../support/server.ts'
import { LEAVING, observe, PREPARATION } from './leftovers.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
/** Each statement comes once, in a random order, so each is followed by a random other one. */
const FILES_IN_ONE_RUN = 10

test('on the server of the tests, files together and one by one give the same database', async (t) => {
  await compareAll(t, loadServer().url)
})

test('on PostgreSQL 15, files together and one by one give the same database', {
  skip: hasPostgres15() ? false : 'NOT RUN: postgresql-15 is not installed',
}, async (t) => {
  await compareAll(t, await startPostgres15(t))
})

async function compareAll(t: Test, url: string): Promise<void> {
  t.comment(`SEED=${seed}`)
  const server = await openServer(t, url)
  const order = shuffle(LEAVING, createRandom(seed))
  for (let start = 0; start < order.length; start += FILES_IN_ONE_RUN) {
    const statements = order.slice(start, start + FILES_IN_ONE_RUN)
    const bodies = [
      PREPARATION,
      ...statements.map((statement, index) =>
        // A file whose first line says that it has no transaction has nothing but its statement.
        statement.startsWith('--!') || statement.startsWith('set transaction')
          ? statement
          : `${observe(index)}\n${statement}`,
      ),
      observe(statements.length),
    ]
    const together = await server.apply(t, bodies, bodies.length)
    const apart = await server.apply(t, bodies, 1)
    t.strictSame(together, apart, statements.join('\n'))
    t.equal(together.error, undefined)
  }
}

interface Applied {
  readonly error: string | undefined
  readonly notes: unknown
  readonly tables: unknown
}

interface Server {
  /** Applies the files to a new database, so many at one start, and describes it. */
  apply(t: Test, bodies: readonly string[], filesPerStart: number): Promise<Applied>
}

/** With a role of its own, which the files change. */
async function openServer(t: Test, url: string): Promise<Server> {
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  const role = `leaving_${randomBytes(4).toString('hex')}`
  await admin.query(`create role ${role} superuser login`)
  await admin.query(
    `do $$ begin create role app_owner superuser; exception when duplicate_object then null; end $$`,
  )
  await admin.query('grant pg_monitor to app_owner')
  t.teardown(async () => {
    await admin.query(`drop role ${role}`)
    await admin.end()
  })

  async function apply(t: Test, bodies: readonly string[], filesPerStart: number) {
    const name = `leaving_${randomBytes(5).toString('hex')}`
    await admin.query(`create database ${name} owner ${role} template template0`)
    const own = new URL(url)
    own.username = role
    own.pathname = `/${name}`
    const pool = new pg.Pool({ connectionString: own.href, max: 2 })
    pool.on('error', () => {})
    const migrationsDir = createMigrationsFolder(t, [])
    let error: string | undefined
    try {
      for (let count = filesPerStart; count <= bodies.length; count += filesPerStart) {
        writeCommitted(migrationsDir, bodies.slice(0, count))
        const run = { url: own.href, databaseName: name, pool, migrationsDir }
        await runTool({
          ...run,
          settings: { placeholders: {}, pgSettings: {} },
          pending: (await readCommittedMigrations(migrationsDir)).slice(count - filesPerStart),
          log: pino({ level: 'silent' }),
          signal: new AbortController().signal,
          onMigration: () => {},
        })
      }
    } catch (cause) {
      error = (cause as Error).message
    }
    const notes = await pool.query('select note from public.noted order by id')
    const tables = await pool.query(
      `select relnamespace::regnamespace::text as schema, relname, relowner::regrole::text as owner, relacl::text
         from pg_class
        where oid >= 16384 and relkind in ('r', 'v', 'S') and relpersistence <> 't'
        order by 1, 2`,
    )
    await pool.end()
    await admin.query(`drop database ${name} with (force)`)
    return { error, notes: notes.rows, tables: tables.rows }
  }
  return { apply }
}
