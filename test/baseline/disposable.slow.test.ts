import { randomBytes } from 'node:crypto'
import { test } from 'tap'
import {
  isDisposable,
  markDisposableIfEmpty,
  unmarkDisposable,
} from '../../src/baseline/disposable.ts'
import { ensureStore } from '../../src/baseline/store.ts'
import { connect, copyDatabase, createResetWorld, maintain, urlOf } from '../reset/world.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }

test('an empty database is marked disposable, and no other', async (t) => {
  const isMarkedAfter = async (prepare: string) => {
    const db = await createTestDatabase(t, { from: 'empty' })
    if (prepare !== '') await db.pool.query(prepare)
    await ensureStore(db.pool)
    await markDisposableIfEmpty(db.pool, true, log)
    return isDisposable(db.pool)
  }

  t.equal(await isMarkedAfter(''), true)
  t.equal(await isMarkedAfter('create extension pgmq'), true)
  t.equal(await isMarkedAfter('create schema nothing_in_it'), true)
  t.equal(await isMarkedAfter('create table public.t ()'), false)
  t.equal(await isMarkedAfter('create view public.v as select 1 as one'), false)
  t.equal(
    await isMarkedAfter('create function public.f() returns int language sql as $$select 1$$'),
    false,
  )
  t.equal(await isMarkedAfter(`create type public.e as enum ('a')`), false)
  t.equal(await isMarkedAfter('create domain public.d as int'), false)
  t.equal(await isMarkedAfter(RANGE_WITHOUT_FUNCTIONS), false)
  t.equal(await isMarkedAfter('create sequence public.s'), false)
  t.equal(await isMarkedAfter('create type public.shell'), false)
  t.equal(
    await isMarkedAfter(`create schema graphile_migrate; create table graphile_migrate.mine ()`),
    false,
  )
  t.equal(await isMarkedAfter('create schema provisioning'), true, 'made beforehand, for a role')
  t.equal(await isMarkedAfter(`${TOOL_TABLES}; select 1`), true)
  t.equal(await isMarkedAfter(`create extension pgmq; select pgmq.create('orders')`), false)
})

/** A range type comes with functions; an extension that owns those leaves the type alone. */
const RANGE_WITHOUT_FUNCTIONS = `
  create type public.r as range (subtype = int);
  do $$
  declare v_function regprocedure;
  begin
    for v_function in select oid from pg_proc where pronamespace = 'public'::regnamespace loop
      execute format('alter extension plpgsql add function %s', v_function);
    end loop;
  end
  $$`

/** The tables that the migration tool creates when it starts. */
const TOOL_TABLES = `
  create schema graphile_migrate;
  create table graphile_migrate.migrations (hash text primary key);
  create table graphile_migrate.current (filename text primary key default 'current.sql', content text)`

test('a database with a history is not marked, even if it is empty', async (t) => {
  const db = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(db.pool)

  await markDisposableIfEmpty(db.pool, false, log)

  t.equal(await isDisposable(db.pool), false)
})

test('the mark is removed if another client fills the database before the first migration', async (t) => {
  const db = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(db.pool)
  await markDisposableIfEmpty(db.pool, true, log)
  await db.pool.query('create table public.restored_from_a_dump ()')

  await markDisposableIfEmpty(db.pool, true, log)

  t.equal(await isDisposable(db.pool), false)
})

test('an owner marks and unmarks the database with one statement each, and has to name it', async (t) => {
  const { pool, name } = await createTestDatabase(t, { from: 'migrated' })
  await ensureStore(pool)

  await t.rejects(pool.query('select provisioning.allow_reset($1)', ['another']), { code: '22023' })
  t.equal(await isDisposable(pool), false)
  await pool.query('select provisioning.allow_reset($1)', [name])
  t.equal(await isDisposable(pool), true)
  await pool.query('select provisioning.forbid_reset()')
  t.equal(await isDisposable(pool), false)
})

test('reset switched off removes the mark, and logs it once', async (t) => {
  const { pool, name } = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(pool)
  await pool.query('select provisioning.allow_reset($1)', [name])
  let warnings = 0
  const counting = {
    ...log,
    warn() {
      warnings += 1
    },
  }

  await unmarkDisposable(pool, counting)
  await unmarkDisposable(pool, counting)

  t.equal(await isDisposable(pool), false)
  t.equal(warnings, 1)
})

test('a role that may not remove the mark gets a warning', async (t) => {
  const role = await createTestRole(t, 'nologin')
  const { pool, name } = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(pool)
  await pool.query('select provisioning.allow_reset($1)', [name])
  const client = await pool.connect()
  t.teardown(async () => client.release(true))
  await client.query(`set role ${role}`)
  const warnings: string[] = []

  await unmarkDisposable(client, {
    ...log,
    warn: (text: unknown) => void warnings.push(String(text)),
  })

  t.equal(await isDisposable(client), false)
  t.same(warnings, [
    'RESET_ENABLED is false, but another role may have marked the database disposable',
  ])
})

test('a mark is valid only on the server, database, name and timeline that it names', async (t) => {
  const world = await createResetWorld(t, { from: 'migrated' })
  await world.reset()

  for (const [column, other] of [
    ['system_identifier', 'system_identifier + 1'],
    ['database_oid', '(database_oid::int8 + 1)::oid'],
    ['database_name', `'another'`],
    ['timeline', 'timeline + 1'],
  ] as const) {
    await world.pool.query(`update provisioning.disposable set ${column} = ${other}`)
    t.equal(await isDisposable(world.pool), false, column)
    const expected = { code: 'database_not_disposable', statusCode: 403 }
    await t.rejects(world.reset(), expected, column)
    await world.pool.query('select provisioning.allow_reset($1)', [world.name])
  }
  await world.reset()
})

test('a mark is not valid in a template copy, nor after a rename', async (t) => {
  const database = await createTestDatabase(t, { from: 'empty' })
  const { name } = database
  await ensureStore(database.pool)
  await database.pool.query('select provisioning.allow_reset($1)', [name])
  const renamed = `test_renamed_${randomBytes(4).toString('hex')}`
  t.teardown(() => maintain(`drop database if exists ${renamed} with (force)`))

  t.equal(await isDisposableAt(await copyDatabase(t, database)), false)

  await maintain(`alter database ${name} rename to ${renamed}`)
  t.equal(await isDisposableAt(urlOf(renamed)), false)

  await maintain(`alter database ${renamed} rename to ${name}`)
  t.equal(await isDisposableAt(urlOf(name)), true)
})

test('marking a database again replaces a mark that is no longer valid', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(pool)

  for (const stale of [
    '1, database_oid, database_name, timeline',
    `system_identifier, 1, database_name, timeline`,
    `system_identifier, database_oid, 'another', timeline`,
    'system_identifier, database_oid, database_name, timeline + 1',
  ]) {
    await pool.query(`delete from provisioning.disposable;
      insert into provisioning.disposable
             (system_identifier, database_oid, database_name, timeline, is_by_service)
      select ${stale}, false from provisioning.this_database`)
    t.equal(await isDisposable(pool), false, stale)

    await markDisposableIfEmpty(pool, true, log)

    t.equal(await isDisposable(pool), true, stale)
  }
  await pool.query('create table public.restored_from_a_dump ()')
  await markDisposableIfEmpty(pool, true, log)
  t.equal(await isDisposable(pool), false, 'the service owns the new mark, and removes it')
})

test('a reset reads the mark again: forbid_reset works at once', async (t) => {
  const world = await createResetWorld(t, { from: 'migrated' })
  await world.reset()
  await world.pool.query(`delete from e2e.config; select provisioning.forbid_reset()`)

  await t.rejects(world.reset(), { code: 'database_not_disposable', statusCode: 403 })

  t.equal((await world.pool.query('select from e2e.config')).rowCount, 0)
})

test('a role without TEMPORARY gets an error that names the privilege', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: 'select 1', asOwner: true })
  await world.pool.query(`alter database ${world.name} owner to current_user;
                          revoke temporary on database ${world.name} from public`)

  const error = await world.reset().catch((cause) => cause)

  t.match(error, { code: 'privilege_missing', statusCode: 409, message: /grant it TEMPORARY/ })
})

test('rows of the baseline that a constraint rejects are an error, and the data stays as it is', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create table public.seeds (amount int); insert into public.seeds values (-1);
             alter table public.seeds add constraint amount_is_positive check (amount > 0) not valid`,
  })
  await world.pool.query('insert into public.seeds values (2)')

  await t.rejects(world.reset(), { code: 'rows_not_restorable', statusCode: 409 })

  t.equal((await world.pool.query('select from public.seeds')).rowCount, 2)
})

test('a table that the role may not reset is reported by name, and nothing is reset', async (t) => {
  const schema = 'create table public.mine (amount int); create table public.theirs (amount int)'
  const world = await createResetWorld(t, { from: 'empty', schema, asOwner: true })
  await world.pool.query(`insert into public.mine values (1)`)
  await world.pool.query(`alter table public.theirs owner to current_user`)

  const error = await world.reset().catch((cause) => cause)

  t.match(error, { code: 'not_owner', statusCode: 409 })
  t.same(error.extensions.relations, ['public.theirs'])
  t.equal((await world.pool.query('select from public.mine')).rowCount, 1)
})

async function isDisposableAt(url: string): Promise<boolean> {
  const client = await connect(url)
  try {
    return await isDisposable(client)
  } finally {
    await client.end()
  }
}
