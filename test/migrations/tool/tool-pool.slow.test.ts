import pino from 'pino'
import { type Test, test } from 'tap'
import { runTool, ToolLockBusyError } from '../../../src/migrations/tool/runner.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { describeRun } from '../../support/tool-run.ts'
import { settled, until } from '../../support/until.ts'

/** What a file shows about the session that it runs in. */
const showSession = (leftover: string) => `
  insert into public.session
    select '${leftover}', current_setting('search_path'), current_setting('session_replication_role'),
           current_setting('app.tenant', true), current_setting('statement_timeout'), current_user,
           (select count(*) from pg_prepared_statements),
           (select count(*) from pg_cursors where is_holdable),
           (select count(*) from pg_listening_channels()),
           to_regclass('pg_temp.leftover'),
           (select count(*) from pg_locks
             where pid = pg_backend_pid() and locktype = 'advisory' and classid = 0);`

const NEW_SESSION = {
  path: '"$user", public',
  replication: 'origin',
  tenant: null,
  statement_timeout: '0',
  role: 'postgres',
  prepared: 0,
  cursors: 0,
  channels: 0,
  temporary: null,
  locks: 0,
}

const LEFTOVERS: Record<string, string> = {
  'an empty search_path': `select set_config('search_path', '', false);`,
  'a replication role': 'set session_replication_role = replica;',
  'a custom setting': `set app.tenant = '1';`,
  'a custom setting from a block': `do $$ begin perform set_config('app.tenant', '1', false); end $$;`,
  'a timeout': `set statement_timeout = '1h';`,
  'a role': 'set role pg_monitor;',
  'a session authorization': 'set session authorization pg_monitor;',
  'a prepared statement': 'prepare leftover as select 1;',
  'deallocate all': 'deallocate all;',
  'a cursor': 'declare leftover cursor with hold for select 1;',
  'a channel': 'listen leftover;',
  'a temporary table': 'create temporary table leftover (i int);',
  'an advisory lock': 'select pg_advisory_lock(1);',
  'no advisory lock at all': 'select pg_advisory_unlock_all();',
  'nothing, after discard all': '--! no-transaction\ndiscard all;',
}

test('whatever a file leaves, the next begins in a new session, and both are recorded', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  await database.pool.query(
    `create table session (leftover text, path text, replication text, tenant text,
                           statement_timeout text, role text, prepared int, cursors int,
                           channels int, temporary text, locks int)`,
  )

  const bodies = Object.entries(LEFTOVERS).flatMap(([what, body]) => [body, showSession(what)])
  await runTool(await describeRun(t, database, bodies))

  const { rows } = await database.pool.query('select * from session')
  t.strictSame(
    rows,
    Object.keys(LEFTOVERS).map((leftover) => ({ leftover, ...NEW_SESSION })),
  )
})

test("a file with the tool's own words is run like any other", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const words = [
    'pg_try_advisory_lock',
    'select pg_try_advisory_lock($1) as locked',
    'select pg_advisory_unlock($1)',
    'begin',
    'commit',
  ]
  const bodies = words.map((text, index) => `create table t_${index} (); -- ${text}`)

  await runTool(await describeRun(t, database, bodies))

  const { rows } = await database.pool.query(
    `select relname from pg_class where relname like 't\\__' order by 1`,
  )
  t.strictSame(
    rows.map(({ relname }) => relname),
    words.map((_, index) => `t_${index}`),
  )
})

test('settings that a file gives the database are those of the next session', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const bodies = [
    `create schema made;
     do $$ begin execute format('alter database %I set search_path = made', current_database()); end $$;`,
    'create table t ();',
  ]

  await runTool(await describeRun(t, database, bodies))

  const { rows } = await database.pool.query(
    `select relnamespace::regnamespace::text as schema from pg_class where relname = 't'`,
  )
  t.strictSame(rows, [{ schema: 'made' }])
})

/** Leaves something behind, and waits until the session of the next file is open; then `then` runs. */
const untilNextIsOpen = (then = '') => `
  set app.tenant = '1';
  create function public.next_session() returns int language sql volatile
    begin atomic
      select pid from pg_stat_activity
       where pid <> pg_backend_pid() and state = 'idle'
         and application_name = current_setting('application_name') limit 1;
    end;
  do $$
  begin
    while public.next_session() is null loop
      if clock_timestamp() > now() + interval '20 s' then raise 'no session was opened'; end if;
      perform pg_stat_clear_snapshot();
    end loop;
    ${then}
  end $$;
  create table public.opened as select public.next_session() as pid;`

const showWhetherIsNext = `create table public.used as
  select pg_backend_pid() as pid, current_setting('app.tenant', true) as tenant,
         current_setting('search_path') as path;`

async function runAhead(t: Test, then?: string) {
  const database = await createTestDatabase(t, { from: 'empty' })
  const bodies = [untilNextIsOpen(then), showWhetherIsNext]
  await runTool(await describeRun(t, database, bodies))
  const { rows } = await database.pool.query<{ isNext: boolean; tenant: string; path: string }>(
    `select used.pid = opened.pid as "isNext", tenant, path from public.used, public.opened`,
  )
  return rows
}

const PATH = NEW_SESSION.path

test('while a file runs whose session cannot be used again, the next one is opened', async (t) => {
  t.strictSame(await runAhead(t), [{ isNext: true, tenant: null, path: PATH }])
})

test('a session that was opened ahead is not used if it would begin with other settings now', async (t) => {
  const change = `execute format('alter database %I set search_path = made', current_database());`
  t.strictSame(await runAhead(t, change), [{ isNext: false, tenant: null, path: 'made' }])
})

test('a session that was opened ahead and is ended fails nothing', async (t) => {
  const end = `
    perform pg_terminate_backend(public.next_session(), 10000);
    perform pg_stat_clear_snapshot();`
  const database = await createTestDatabase(t, { from: 'empty' })
  await runTool(await describeRun(t, database, [untilNextIsOpen(end), showWhetherIsNext]))
  const { rows } = await database.pool.query('select tenant, path from public.used')
  t.strictSame(rows, [{ tenant: null, path: PATH }])
})

test('no session is opened ahead for what comes after the last file', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const show = `create table public.sessions as
    select count(*)::int from pg_stat_activity
     where application_name = current_setting('application_name');`
  const body = `set app.tenant = '1'; select pg_sleep(0.3); ${show}`
  await runTool(await describeRun(t, database, ['select 1;', body]))
  const { rows } = await database.pool.query('select * from public.sessions')
  t.strictSame(rows, [{ count: 1 }])
})

test("a sequence's value belongs to the file that fetched it", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const bodies = [`create sequence s cache 20; select nextval('s');`, `select currval('s');`]

  await t.rejects(runTool(await describeRun(t, database, bodies)), {
    code: 'migration_failed',
    extensions: { migration: '000002-step-2.sql', sqlstate: '55000' },
  })
})

test('what a function of an earlier start sets does not reach the next file', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  await database.pool.query(
    `create function set_tenant() returns text language sql
       as $$ select set_config('app.tenant', '1', false) $$`,
  )

  const show = `create table session as select current_setting('app.tenant', true) as tenant;`
  await runTool(await describeRun(t, database, ['select set_tenant();', show]))

  const { rows } = await database.pool.query('select * from session')
  t.strictSame(rows, [{ tenant: null }])
})

test("graphile-migrate's own lock is held in every file, so that no other tool can acquire it", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const show = (name: string) => `
    set app.${name} = '1';
    create table ${name} as
      select bool_and(mode = 'ShareLock') as is_shared, bool_or(pid = pg_backend_pid()) as has_own
        from pg_locks
       where locktype = 'advisory' and objid::bigint = 4727445306447283 & 4294967295
         and database = (select oid from pg_database where datname = current_database());`

  await runTool(await describeRun(t, database, [show('first'), show('second'), show('third')]))

  for (const name of ['first', 'second', 'third']) {
    const { rows } = await database.pool.query(`select * from ${name}`)
    t.strictSame(rows, [{ is_shared: true, has_own: true }], name)
  }
})

test("a file that releases graphile-migrate's lock ends the run where another tool acquires it", async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const other = await database.open('test')
  t.teardown(() => other.end())
  await other.query('create table public.go ()')
  // The session of the second file, which is opened ahead, has the lock, too.
  const releases = `
    set app.released = '1';
    do $$
    declare
      next_pid int;
    begin
      while next_pid is null loop
        perform pg_sleep(0.01);
        next_pid := (select pid from pg_locks
                      where locktype = 'advisory' and objid::bigint = 4727445306447283 & 4294967295
                        and database = (select oid from pg_database where datname = current_database())
                        and pid <> pg_backend_pid());
      end loop;
      perform pg_terminate_backend(next_pid, 5000);
      perform pg_advisory_unlock_all();
      while exists (select from pg_class where relname = 'go') loop
        perform pg_sleep(0.01);
      end loop;
    end
    $$;`
  const running = runTool(
    await describeRun(t, database, [releases, 'create table public.second ();']),
  )
  running.catch(() => {})
  await until('the other tool acquires the lock', async () => {
    const { rows } = await other.query(
      `select exists (select from pg_stat_activity where datname = current_database()
                        and query like '%app.released%' and state = 'active' and pid <> pg_backend_pid())
              and pg_try_advisory_lock(4727445306447283) as locked`,
    )
    return rows[0].locked
  })
  await other.query('drop table public.go')

  const error = await settled(
    'the run ends',
    running.catch((thrown) => thrown),
  )
  t.ok(error instanceof ToolLockBusyError, String(error))
  const { rows } = await other.query(
    `select to_regclass('public.second') as second, count(*)::int as applied from graphile_migrate.migrations`,
  )
  t.strictSame(rows, [{ second: null, applied: 1 }])
})

test('time limits of the role do not cut a migration, those of .gmrc do', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const { name, pool } = database
  for (const limit of [
    'statement_timeout',
    'lock_timeout',
    'idle_in_transaction_session_timeout',
  ]) {
    await pool.query(`alter database ${name} set ${limit} = '50ms'`)
  }

  await runTool(await describeRun(t, database, ['select pg_sleep(0.2);', 'select pg_sleep(0.2);']))
  const run = await describeRun(t, database, ['select 1;', 'select 2;', 'select pg_sleep(10);'])
  await pool.query('drop schema graphile_migrate cascade')
  const settings = { placeholders: {}, pgSettings: { statement_timeout: '50ms' } }
  await t.rejects(runTool({ ...run, settings }), {
    code: 'migration_failed',
    extensions: { migration: '000003-step-3.sql', sqlstate: '57014' },
  })
})

test('an error while a file is recorded is not placed in the file', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const body = `
    create function refuse() returns trigger language plpgsql
      as $$ begin raise exception 'not recorded'; end $$;
    create trigger refuse before insert on graphile_migrate.migrations
      for each row execute function refuse();`

  await t.rejects(runTool(await describeRun(t, database, [body])), {
    code: 'migration_failed',
    message:
      /^migration 000001-step-1\.sql ran, but could not be recorded in the history: not recorded/,
    extensions: { migration: '000001-step-1.sql', line: undefined, text: undefined },
  })
})

test('transaction control is refused before anything of the file runs', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const bodies = ['create table kept ();', 'create table t (i int);\nrollback;']

  await t.rejects(runTool(await describeRun(t, database, bodies)), {
    code: 'transaction_control',
    exitCode: 4,
    message:
      /^migration 000002-step-2\.sql was refused: line 6: "rollback" begins, ends or prepares a transaction; .*; nothing of the file was run$/,
    extensions: {
      migration: '000002-step-2.sql',
      line: 6,
      text: 'rollback;',
      statement: 'rollback',
    },
  })

  const { rows } = await database.pool.query(
    `select filename, to_regclass('t') as t from graphile_migrate.migrations`,
  )
  t.strictSame(rows, [{ filename: '000001.sql', t: null }])
})

test('outside a transaction a file may control its own, but must not leave one open', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const complete = '--! no-transaction\nbegin; create table kept (); commit;'
  const open = '--! no-transaction\nbegin; create table lost ();'

  await t.rejects(runTool(await describeRun(t, database, [complete, open])), {
    code: 'transaction_control',
    message: /000002-step-2\.sql was refused: it has left a transaction open/,
  })

  const { rows } = await database.pool.query(
    `select to_regclass('kept')::text as kept, to_regclass('lost')::text as lost`,
  )
  t.strictSame(rows, [{ kept: 'kept', lost: null }])
})

for (const [what, body, expected] of [
  [
    "a command of psql's",
    'select 1;\n\\connect other',
    /line 6: "\\connect other" .* delete the line/,
  ],
  ['rows from the client', 'copy t from stdin;\n1\n\\.', /line 5: .*pg_dump --inserts/],
  ['rows to the client', 'select 1;\ncopy t to stdout;', /line 6: .*the client/],
] as const) {
  test(`${what}: refused, with the line and a remedy`, async (t) => {
    const database = await createTestDatabase(t, { from: 'empty' })
    await t.rejects(runTool(await describeRun(t, database, [body])), {
      code: 'migration_failed',
      exitCode: 4,
      message: expected,
    })
  })
}

test('an unknown name in pgSettings is a wrong setting', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const settings = { placeholders: {}, pgSettings: { work_mem: '4MB', no_such_setting: '1' } }

  await t.rejects(runTool({ ...(await describeRun(t, database, ['select 1;'])), settings }), {
    exitCode: 2,
    message: /\.gmrc.*pgSettings.*no_such_setting/,
  })
})

test('of many notices, twenty are logged and the others counted', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const lines: { notice?: string; count?: number }[] = []
  const log = pino({ level: 'info' }, { write: (line) => lines.push(JSON.parse(line)) })
  const body = `do $$ begin for i in 1..1000 loop raise notice 'notice %', i; end loop; end $$;`

  await runTool({
    ...(await describeRun(t, database, [body, `do $$ begin raise notice 'last'; end $$`])),
    log,
  })

  t.strictSame(
    lines.flatMap(({ notice, count }) => notice ?? count ?? []),
    [...Array.from({ length: 20 }, (_, index) => `notice ${index + 1}`), 980, 'last'],
  )
})
