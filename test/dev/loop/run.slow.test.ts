// A change of fixtures, from the first save to the last, on a database.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createRunner, type RunOptions } from '../../../dev/loop/run.ts'
import { ensureRecorder } from '../../../src/baseline/recorder.ts'
import { compareWithRecord } from '../../../src/drift/compare.ts'
import { readCurrentState } from '../../../src/drift/current-changes.ts'
import { calculateHash, createFolder } from '../../support/migrations-folder.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'

test('a changed fixture includes itself, and is restored when it is as committed', async (t) => {
  const database = await createTestDatabase(t, { from: 'migrated' })
  const folder = createFolder(t)
  const migrationsDir = join(folder, 'migrations')
  cpSync(join(projectDir, 'migrations'), migrationsDir, { recursive: true })
  const current = join(migrationsDir, 'current.sql')
  const fixture = join(migrationsDir, 'fixtures/commandbus/functions/sp_start_batch.sql')
  const [emptyCurrent, committed] = [readFileSync(current, 'utf8'), readFileSync(fixture, 'utf8')]
  const notes: string[] = []
  const options: RunOptions = {
    ...{ readUrl: () => database.url, databaseName: database.name },
    ...{ migrationsDir, lockTimeoutMs: 2000, note: (text) => notes.push(text) },
    settings: { placeholders: { ':E2E_SCHEMA': 'on' } },
  }
  const readSource = async () => {
    const { rows } = await database.pool.query(
      `select prosrc from pg_proc where oid = 'commandbus.sp_start_batch(text, uuid)'::regprocedure`,
    )
    return rows[0]?.prosrc as string
  }
  t.strictSame(
    await readCurrentState(database.pool),
    { changes: [] },
    'without a record, nothing is known',
  )
  await ensureRecorder(database.pool)
  await database.pool.query('select provisioning.record_schema()')
  const listChanges = async () => {
    const { changes } = await readCurrentState(database.pool)
    return changes.map(({ kind, name, change }) => `${kind} ${name} ${change}`)
  }
  const before = await readSource()
  const change = (text: string) =>
    writeFileSync(
      fixture,
      committed.replace('select commandbus', `/* ${text} */ select commandbus`),
    )
  const runner = createRunner(options)
  t.teardown(runner.close)
  const run = () => runner.run(['current.sql'])
  t.equal((await run()).failure, undefined)
  t.equal(readFileSync(current, 'utf8'), emptyCurrent)

  await t.test('a changed fixture includes itself and is live', async (t) => {
    change('changed')
    const { failure, changes } = await run()
    t.equal(failure, undefined)
    t.match(changes, [{ name: 'commandbus.sp_start_batch(text, uuid)', change: 'changed' }])
    t.strictSame(await listChanges(), ['function commandbus.sp_start_batch(text, uuid) changed'])
    t.match(await readSource(), /changed/)
    t.match(readFileSync(current, 'utf8'), '--!include commandbus/functions/sp_start_batch.sql\n')
  })

  await t.test(
    'where current.sql cannot be written, it is said that it is not applied',
    async (t) => {
      const text = readFileSync(current, 'utf8')
      writeFileSync(current, emptyCurrent)
      const write = () => {
        throw new Error('EPERM: operation not permitted')
      }
      const readOnly = createRunner({ ...options, write })
      t.teardown(readOnly.close)
      change('not applied')
      const { failure } = await readOnly.run(['current.sql'])
      t.match(
        failure?.message,
        /^not applied: fixtures\/commandbus\/functions\/sp_start_batch\.sql; the list in current\.sql .*: EPERM: /,
      )
      t.equal(readFileSync(current, 'utf8'), emptyCurrent)
      t.notMatch(await readSource(), /not applied/)
      change('changed')
      writeFileSync(current, text)
      t.equal((await run()).failure, undefined)
      t.match(await readSource(), /changed/)
    },
  )

  await t.test('as committed again, it is restored and not included', async (t) => {
    // The tool forgets what was applied when something fails.
    writeFileSync(fixture, `${committed}nonsense;\n`)
    t.match((await run()).failure, { message: /syntax error/ })

    writeFileSync(fixture, committed)
    t.equal((await run()).failure, undefined)
    t.equal(await readSource(), before)
    t.equal(readFileSync(current, 'utf8'), emptyCurrent)
    t.strictSame(await listChanges(), [])
  })

  await t.test(
    'what current.sql has changed since it began is known after a failure, too',
    async (t) => {
      writeFileSync(current, 'create table if not exists public.added (id int primary key);\n')
      t.match((await run()).changes, [{ name: 'public.added', change: 'added' }])
      writeFileSync(current, 'nonsense;\n')
      await run()
      writeFileSync(
        current,
        'drop table if exists public.added;\ncreate view public.seen as select 1 as one;\n',
      )
      await run()
      t.strictSame(await listChanges(), ['view public.seen added'])
      writeFileSync(current, `drop view if exists public.seen;\n`)
      await run()
      writeFileSync(current, emptyCurrent)
      t.equal((await run()).failure, undefined)
    },
  )

  await t.test('also if that happened while the loop was not running', async (t) => {
    change('again')
    await run()
    t.match(await readSource(), /again/)
    writeFileSync(fixture, committed)
    writeFileSync(current, emptyCurrent)

    const again = createRunner(options)
    t.teardown(again.close)
    t.equal((await again.run([])).failure, undefined)
    t.equal(await readSource(), before)
  })

  await t.test('a function that no file makes any more is dropped', async (t) => {
    const added = join(migrationsDir, 'fixtures/commandbus/functions/added.sql')
    writeFileSync(added, 'create or replace function commandbus.added() returns int return 1;\n')
    t.equal((await run()).failure, undefined)
    rmSync(added)
    t.match((await run()).changes, [{ name: 'commandbus.added()', change: 'dropped' }])
    t.equal(readFileSync(current, 'utf8'), emptyCurrent)
    t.strictSame(await listChanges(), [])
  })

  await t.test(
    'so are another signature, a dropped function and one with another result',
    async (t) => {
      const define = (args: string, result: string) =>
        `create or replace function commandbus.f(${args}) returns ${result} return 1;\n`
      writeFileSync(current, define('one int', 'int'))
      await run()
      writeFileSync(current, define('one int, two int', 'int'))
      t.match((await run()).changes, [
        { name: 'commandbus.f(integer)', change: 'dropped' },
        { name: 'commandbus.f(integer, integer)', change: 'added' },
      ])
      const { rows } = await database.pool.query(
        `select oid::regprocedure::text as name, pg_get_functiondef(oid) as definition
         from pg_proc where proname = 'sp_refresh_stats' or proname = 'counter_no' order by 1 limit 1`,
      )
      const { name, definition } = rows[0]
      writeFileSync(current, `drop function if exists ${name} cascade;\n`)
      await run()
      writeFileSync(current, emptyCurrent)
      t.equal((await run()).failure, undefined)
      const restored = await database.pool.query(
        `select pg_get_functiondef('${name}'::regprocedure) as definition`,
      )
      t.equal(restored.rows[0].definition, definition)
      t.strictSame(await listChanges(), [])
    },
  )

  await t.test(
    'an overload of a committed function goes, and saves of its fixture stay',
    async (t) => {
      const overload = `create or replace function commandbus.sp_start_batch(p_domain text, p_batch_id uuid, p_wait boolean)
       returns boolean language sql as $$ select true $$;\n`
      const listOverloads = async () => {
        const { rows } = await database.pool.query<{ name: string }>(
          `select oid::regprocedure::text as name from pg_proc where proname = 'sp_start_batch' order by 1`,
        )
        return rows.map(({ name }) => name)
      }
      const [own, other] = ['(text,uuid)', '(text,uuid,boolean)'].map(
        (args) => `commandbus.sp_start_batch${args}`,
      )
      writeFileSync(current, overload)
      await run()
      t.strictSame(await listOverloads(), [own, other])
      // Something that depends on it keeps it.
      await database.pool.query(
        `create view public.using_it as select commandbus.sp_start_batch('', null, true)`,
      )
      writeFileSync(current, emptyCurrent)
      await run()
      t.strictSame(await listOverloads(), [own, other])
      t.match(notes.at(-1), /sp_start_batch\(text, uuid, boolean\) is left over: cannot drop/)
      change('beside an overload')
      t.equal((await run()).failure, undefined)
      t.match(await readSource(), /beside an overload/)

      await database.pool.query('drop view public.using_it')
      change('alone')
      t.match((await run()).changes, [
        { change: 'changed' },
        { name: 'commandbus.sp_start_batch(text, uuid, boolean)', change: 'dropped' },
      ])
      t.strictSame(await listOverloads(), [own])
      t.match(await readSource(), /alone/)

      writeFileSync(fixture, committed)
      await run()
      t.equal(await readSource(), before)
      t.strictSame(await listChanges(), [])
    },
  )

  await t.test('what holds rows, or is in use, stays, and a note says what to do', async (t) => {
    notes.length = 0
    writeFileSync(
      current,
      `create table if not exists commandbus.added (id int primary key);
       create or replace function commandbus.used() returns int return 1;
       create or replace view commandbus.using_it as select commandbus.used();\n`,
    )
    await run()
    writeFileSync(current, emptyCurrent)
    t.equal((await run()).failure, undefined)
    t.match(notes, [
      /^function commandbus\.used\(\) is left over: cannot drop function commandbus\.used\(\) because .*view commandbus\.using_it depends/,
      'table commandbus.added is left over: current.sql does not make it any more; if you do not need it: drop table commandbus.added',
      /^view commandbus\.using_it is left over: .*: drop view commandbus\.using_it$/,
    ])
    t.equal(notes.length, 3)
    t.strictSame(await listChanges(), [
      'table commandbus.added added',
      'function commandbus.used() added',
      'view commandbus.using_it added',
    ])
    writeFileSync(current, 'select 1;\n')
    await run()
    t.equal(notes.length, 3, 'each is said once')
    await database.pool.query('drop view commandbus.using_it; drop table commandbus.added')
    t.strictSame(await listChanges(), ['function commandbus.used() added'])
    t.strictSame((await compareWithRecord(database.pool)).differences, [])
    writeFileSync(current, emptyCurrent)
    t.match((await run()).changes, [{ name: 'commandbus.used()', change: 'dropped' }])
    t.strictSame(await listChanges(), [])
    t.strictSame((await compareWithRecord(database.pool)).differences, [])
  })

  await t.test(
    'a column or an index that is left over is no difference once it is dropped',
    async (t) => {
      notes.length = 0
      writeFileSync(
        current,
        `alter table commandbus.command add column if not exists added int;
       create index if not exists command_added on commandbus.command (domain);
       alter table commandbus.command alter column domain set default 'shop';\n`,
      )
      await run()
      writeFileSync(current, emptyCurrent)
      await run()
      t.match(notes, [
        /^column commandbus\.command\.added is left over: .*: alter table commandbus\.command drop column added$/,
        /^column commandbus\.command\.domain is left changed \(definition: text not null default 'shop'::text, was text not null\): .*change it back in psql$/,
        /^index commandbus\.command_added is left over: .*: drop index commandbus\.command_added$/,
      ])
      await database.pool.query(
        `alter table commandbus.command drop column added;
       drop index commandbus.command_added;
       alter table commandbus.command alter column domain drop default`,
      )
      const isInSync = async () => {
        t.strictSame((await compareWithRecord(database.pool)).differences, [])
      }
      await isInSync()
      writeFileSync(current, 'select 1;\n')
      t.strictSame((await run()).changes, [], 'it was not this save that dropped them')
      writeFileSync(current, emptyCurrent)
      await run()
      await isInSync()
      t.strictSame(await listChanges(), [])
      t.equal(notes.length, 3)

      await database.pool.query('alter table commandbus.command alter column domain set default 1')
      t.match(await compareWithRecord(database.pool), { inSync: false })
      await database.pool.query('alter table commandbus.command alter column domain drop default')
    },
  )

  await t.test('a save that changes only comments says which', async (t) => {
    const comment = (table: string, column = table) =>
      `comment on table commandbus.command is ${table}; comment on column commandbus.command.domain is ${column};\n`
    const { rows } = await database.pool.query<{ table: string; column: string }>(
      `select quote_literal(obj_description(pg_class.oid)) as table,
              quote_literal(col_description(pg_class.oid, attnum)) as column
         from pg_class join pg_attribute on attrelid = pg_class.oid
        where pg_class.oid = 'commandbus.command'::regclass and attname = 'domain'`,
    )
    writeFileSync(current, comment(`'Other.'`))
    t.match((await run()).changes, [
      { kind: 'comment of column', name: 'domain of table commandbus.command', change: 'changed' },
      { kind: 'comment of table', name: 'commandbus.command', change: 'changed' },
    ])
    writeFileSync(current, comment('null'))
    t.match((await run()).changes, [{ change: 'dropped' }, { change: 'dropped' }])
    writeFileSync(current, comment(rows[0]?.table ?? '', rows[0]?.column))
    t.match((await run()).changes, [{ change: 'added' }, { change: 'added' }])
    writeFileSync(current, emptyCurrent)
    t.strictSame((await run()).changes, [])
  })

  await t.test('after an uncommit and a checkout the procedure is as committed', async (t) => {
    change('committed and taken back')
    await run()
    // As npm run db:commit and db:uncommit leave the files and the history.
    const third = join(migrationsDir, 'committed', '000003-third.sql')
    const [last] = (
      await database.pool.query<{ hash: string }>(
        'select hash from graphile_migrate.migrations order by filename desc limit 1',
      )
    ).rows
    const body = `--! Included commandbus/functions/sp_start_batch.sql\n${readFileSync(fixture, 'utf8').trim()}\n--! EndIncluded commandbus/functions/sp_start_batch.sql\n`
    const hash = calculateHash(body, last?.hash ?? null)
    writeFileSync(third, `--! Previous: ${last?.hash}\n--! Hash: ${hash}\n\n${body}`)
    writeFileSync(current, emptyCurrent)
    t.equal((await runner.run(['committed/000003-third.sql', 'current.sql'])).failure, undefined)
    t.strictSame(await listChanges(), [])
    t.match(await readSource(), /taken back/)

    rmSync(third)
    await database.pool.query('delete from graphile_migrate.migrations where hash = $1', [hash])
    writeFileSync(fixture, committed)
    t.equal((await runner.run(['committed/000003-third.sql', 'current.sql'])).failure, undefined)
    t.equal(await readSource(), before)
    t.strictSame(await listChanges(), [])
  })

  await t.test('a part of a migration that runs only with others is left as it was', async (t) => {
    // It needs what the fixtures before it make for the time of the migration.
    const part = join(migrationsDir, 'fixtures/commandbus/adoption/counters.sql')
    const text = readFileSync(part, 'utf8')
    writeFileSync(part, `${text}\nselect 1;\n`)
    t.match((await run()).failure, {
      message: /unrecognized configuration parameter "adoption\.origin"/,
    })
    writeFileSync(part, text)
    t.equal((await run()).failure, undefined, 'nothing of it was applied, so nothing is restored')
    t.equal(readFileSync(current, 'utf8'), emptyCurrent)
  })

  await t.test('a database that is ahead of the files is refused', async (t) => {
    await database.pool.query(
      `insert into graphile_migrate.migrations (hash, filename) values ('sha1:other', '000003.sql')`,
    )
    const { failure } = await runner.run(['committed/000003-third.sql'])
    t.match(failure?.message, /000003\.sql.*the database is ahead of the files/)
    const dev = createRunner({ ...options, noteHistory: async () => void t.fail('it is another') })
    t.teardown(dev.close)
    await t.rejects(dev.run([]), { message: /not those of the database/ })
  })
})
