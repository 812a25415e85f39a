// What concurrent statements leave when they do not complete: rows A2 and F10.
import pg from 'pg'
import { type Test, test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { type LogLine, type Service, startService } from '../support/service.ts'

const TABLE = 'create table public.t (x int); insert into public.t values (1), (1);'
const UNIQUE =
  '--! no-transaction\ncreate unique index concurrently if not exists t_x on public.t (x);'

async function failed(service: Service): Promise<{ code: number | null; err: LogLine['err'] }> {
  const { code } = await service.ended
  return { code, err: service.log().find(({ level }) => level === 'fatal')?.err }
}

async function readIndexes(pool: pg.Pool) {
  const { rows } = await pool.query(
    `select relname as name, indisvalid as valid
       from pg_index join pg_class on oid = indexrelid
      where indrelid = 'public.t'::regclass order by relname`,
  )
  return rows
}

async function countTools(pool: pg.Pool) {
  const { rowCount } = await pool.query(
    `select from pg_stat_activity
      where datname = current_database() and application_name like 'commandbus-db migration%'`,
  )
  return rowCount
}

async function setUp(t: Test, bodies: readonly string[]) {
  const database = await createTestDatabase(t, { from: 'empty' })
  await database.pool.query(TABLE)
  const MIGRATIONS_DIR = createMigrationsFolder(t, bodies)
  const start = (env: Record<string, string> = {}) =>
    startService(t, { DATABASE_URL: database.url, MIGRATIONS_DIR, ...env })
  return { ...database, start }
}

test('an invalid index that a failed migration left is dropped and built again', async (t) => {
  const { pool, start } = await setUp(t, ['select 1;', UNIQUE, 'select 3;'])

  t.match(await failed(start()), {
    code: 4,
    err: { code: 'migration_failed', message: /it left the invalid index public.t_x/ },
  })
  t.strictSame(await readIndexes(pool), [{ name: 't_x', valid: false }])
  await pool.query('delete from public.t')

  const second = start()
  await second.waitForReady()
  t.strictSame(await readIndexes(pool), [{ name: 't_x', valid: true }])
  t.match(await second.waitForLog('dropping an invalid index'), { index: 'public.t_x' })
  const { rows } = await pool.query(
    `select from pg_class where relnamespace = 'graphile_migrate'::regnamespace
        and relname like 'commandbus%'`,
  )
  t.equal(rows.length, 0, 'nothing is remembered any more')
})

test('an index that was invalid before under the name that the file gives is built again, too', async (t) => {
  const { pool, start } = await setUp(t, [UNIQUE])
  await t.rejects(pool.query('create unique index concurrently t_x on public.t (x)'))
  await pool.query('delete from public.t')

  await start().waitForReady()

  t.strictSame(await readIndexes(pool), [{ name: 't_x', valid: true }])
})

test('an invalid index of another kind than the file is about is left alone', async (t) => {
  const { pool, start } = await setUp(t, [
    '--! no-transaction\ncreate index concurrently mine on public.t (x);',
  ])
  await t.rejects(pool.query('create unique index concurrently foreign_one on public.t (x)'))

  await start().waitForReady()

  t.strictSame(await readIndexes(pool), [
    { name: 'foreign_one', valid: false },
    { name: 'mine', valid: true },
  ])
})

test('the service is not ready over an index that a recorded file left invalid, at no start', async (t) => {
  const { pool, start } = await setUp(t, [
    // As what fails in a session of its own, through dblink, would leave it.
    `--! no-transaction
     update pg_index set indisvalid = false where indexrelid = 'public.t_left'::regclass;`,
    'select 2;',
  ])
  await pool.query('create index t_left on public.t (x)')
  const service = start()

  const expected = {
    code: 4,
    err: {
      code: 'migration_unfinished',
      unfinished: ['public.t_left'],
      repair: ['reindex index concurrently public.t_left;'],
    },
  }
  t.match(await failed(service), expected)
  t.match(await failed(start()), expected)
  await pool.query('delete from public.t')
  await pool.query('reindex index concurrently public.t_left')
  await start().waitForReady()
})

test('an index that another session is building is not unfinished', async (t) => {
  const { url, pool, start } = await setUp(t, ['--! no-transaction\nselect pg_sleep(3);'])
  const holder = await pool.connect()
  await holder.query('begin; insert into public.t values (2)')
  const service = start()
  await service.waitForReason('migrating')
  const builder = new pg.Client({ connectionString: url })
  await builder.connect()
  const building = builder.query('create index concurrently slow on public.t (x)')

  await service.waitForReady()
  t.strictSame(await readIndexes(pool), [{ name: 'slow', valid: false }])
  await holder.query('commit')
  holder.release()
  await building
  await builder.end()
})

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`what ${signal} leaves of a concurrent index is repaired by the next start`, async (t) => {
    const { pool, start } = await setUp(t, [
      'delete from public.t;',
      '--! no-transaction\ncreate index concurrently t_x on public.t (x);',
    ])
    const holder = await pool.connect()
    await holder.query('begin; lock table public.t in row exclusive mode')
    const service = start()
    await service.waitForLog('a migration waits for a lock')

    const ending = await service.stop(signal)
    if (signal === 'SIGTERM') {
      t.match(ending, { code: 0 })
      t.match(
        service.log().find(({ level, msg }) => level === 'warn' && msg.includes('canceled')),
        { migration: '000002-step-2.sql', msg: /invalid index public.t_x/ },
      )
    }
    // The server notices by itself that the tool is gone; until then it would go on building.
    await becomes(t, () => countTools(pool), 0)
    await holder.query('commit')
    holder.release()

    const next = start()
    await next.waitForReady().catch((error) => t.fail(next.output(), { error: String(error) }))
    t.strictSame(await readIndexes(pool), [{ name: 't_x', valid: true }])
  })
}

test('an index that was complete, but not recorded when the service was killed, is made again', async (t) => {
  const { pool, start } = await setUp(t, [
    'create index "T before" on public.t (x);',
    '--! no-transaction\ncreate index concurrently "T x" on public . t (x);',
  ])
  await start({
    MIGRATIONS_DIR: createMigrationsFolder(t, ['create index "T before" on public.t (x);']),
  }).waitForReady()
  const holder = await pool.connect()
  const service = start()
  await service.waitForReason('migrating')
  // The record of the file waits, but not the file.
  await holder.query('begin; lock table graphile_migrate.migrations in share mode')
  await becomes(t, async () => (await readIndexes(pool)).length, 2)
  await service.waitForLog('a migration waits for a lock')
  await service.stop('SIGKILL')
  await becomes(t, async () => await countTools(pool), 0)
  await holder.query('commit')
  holder.release()
  const before = await readIndexes(pool)

  const next = start()
  await next.waitForReady().catch((error) => t.fail(next.output(), { error: String(error) }))
  t.match(await next.waitForLog('dropping an index that a migration made'), {
    index: 'public."T x"',
  })
  t.strictSame(await readIndexes(pool), before)
})

test('a partition that is half detached is named, with the statements that repair it', async (t) => {
  const { pool, start } = await setUp(t, [
    '--! no-transaction\nalter table public.p detach partition public.p1 concurrently;',
  ])
  await pool.query(
    `create table public.p (i int) partition by range (i);
     create table public.p1 partition of public.p for values from (0) to (10)`,
  )
  const holder = await pool.connect()
  await holder.query('begin; select * from public.p')
  const service = start()
  await service.waitForLog('a migration waits for a lock')
  t.match(await service.stop(), { code: 0 })
  await holder.query('commit')
  holder.release()

  const { code, err } = await failed(start())
  const repair = (err as { repair?: string[] }).repair ?? []
  t.match(
    { code, err },
    { code: 4, err: { code: 'migration_unfinished', unfinished: ['public.p1'] } },
  )
  t.match(repair.join(), /detach partition public.p1 finalize; alter table public.p attach/)
  for (const statement of repair.join(' ').split(';')) await pool.query(statement)

  await start().waitForReady()
  const { rows } = await pool.query('select from pg_inherits')
  t.strictSame(rows, [])
})
