import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { type Test, test } from 'tap'
import {
  isDisposable,
  markDisposableIfEmpty,
  unmarkDisposable,
} from '../../src/baseline/disposable.ts'
import { ensureStore } from '../../src/baseline/store.ts'
import { createResetWorld } from '../reset/world.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { loadServer } from '../support/server.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }

test('a database that held nothing is marked, one that holds anything is not', async (t) => {
  const found = async (prepare: string) => {
    const db = await createTestDatabase(t, { from: 'empty' })
    if (prepare !== '') await db.pool.query(prepare)
    await ensureStore(db.pool)
    await markDisposableIfEmpty(db.pool, true, log)
    return isDisposable(db.pool)
  }

  t.equal(await found(''), true)
  t.equal(await found('create extension pgmq'), true)
  t.equal(await found('create schema nothing_in_it'), true)
  t.equal(await found('create table public.t ()'), false)
  t.equal(await found('create view public.v as select 1 as one'), false)
  t.equal(await found('create function public.f() returns int language sql as $$select 1$$'), false)
  t.equal(await found(`create type public.e as enum ('a')`), false)
  t.equal(await found('create domain public.d as int'), false)
  t.equal(await found('create sequence public.s'), false)
  t.equal(await found('create type public.shell'), false)
  t.equal(
    await found(`create schema graphile_migrate; create table graphile_migrate.mine ()`),
    false,
  )
  t.equal(await found('create schema provisioning; create table provisioning.orders ()'), false)
  t.equal(await found(`${TOOL_TABLES}; select 1`), true)
  t.equal(await found(`create extension pgmq; select pgmq.create('orders')`), false)
})

/** As the tool leaves them when it has been started once. */
const TOOL_TABLES = `
  create schema graphile_migrate;
  create table graphile_migrate.migrations (hash text primary key);
  create table graphile_migrate.current (filename text primary key default 'current.sql', content text)`

test('a database with a history is not marked, empty or not', async (t) => {
  const db = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(db.pool)

  await markDisposableIfEmpty(db.pool, false, log)

  t.equal(await isDisposable(db.pool), false)
})

test('the mark of an empty database goes when something else was put there before a migration', async (t) => {
  const db = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(db.pool)
  await markDisposableIfEmpty(db.pool, true, log)
  await db.pool.query('create table public.restored_from_a_dump ()')

  await markDisposableIfEmpty(db.pool, true, log)

  t.equal(await isDisposable(db.pool), false)
})

test('an owner allows and forbids with one statement each, and has to name the database', async (t) => {
  const { pool, name } = await createTestDatabase(t, { from: 'migrated' })
  await ensureStore(pool)

  await t.rejects(pool.query('select provisioning.allow_reset($1)', ['another']), { code: '22023' })
  t.equal(await isDisposable(pool), false)
  await pool.query('select provisioning.allow_reset($1)', [name])
  t.equal(await isDisposable(pool), true)
  await pool.query('select provisioning.forbid_reset()')
  t.equal(await isDisposable(pool), false)
})

test('reset switched off takes the mark away and says so, once', async (t) => {
  const { pool, name } = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(pool)
  await pool.query('select provisioning.allow_reset($1)', [name])
  let words = 0
  const counting = {
    ...log,
    warn() {
      words += 1
    },
  }

  await unmarkDisposable(pool, counting)
  await unmarkDisposable(pool, counting)

  t.equal(await isDisposable(pool), false)
  t.equal(words, 1)
})

test('a role that may not remove a mark is told so, and goes on', async (t) => {
  const role = await createTestRole(t, 'nologin')
  const { pool, name } = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(pool)
  await pool.query('select provisioning.allow_reset($1)', [name])
  const client = await pool.connect()
  t.teardown(async () => client.release(true))
  await client.query(`set role ${role}`)
  const words: string[] = []

  await unmarkDisposable(client, { ...log, warn: (text: unknown) => void words.push(String(text)) })

  t.equal(await isDisposable(client), false)
  t.match(words, [
    'RESET_ENABLED is false, but another role may have marked the database disposable',
  ])
})

test('a mark counts only on the server, database, name and timeline that it names', async (t) => {
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
    const refused = { code: 'database_not_disposable', statusCode: 403 }
    await t.rejects(world.reset(), refused, column)
    await world.pool.query('select provisioning.allow_reset($1)', [world.name])
  }
  await world.reset()
})

test('a mark does not come along with a template copy, nor survive a rename', async (t) => {
  const { name } = await createMarked(t)
  const copy = `test_copy_${randomBytes(4).toString('hex')}`
  const renamed = `test_renamed_${randomBytes(4).toString('hex')}`
  t.teardown(() =>
    maintain(`drop database if exists ${copy}`, `drop database if exists ${renamed}`),
  )

  await maintain(`create database ${copy} template ${name}`)
  t.equal(await isDisposableIn(copy), false)

  await maintain(`alter database ${name} rename to ${renamed}`)
  t.equal(await isDisposableIn(renamed), false)

  await maintain(`alter database ${renamed} rename to ${name}`)
  t.equal(await isDisposableIn(name), true)
})

test('the mark is read again inside the reset: taking it back is enough', async (t) => {
  const world = await createResetWorld(t, { from: 'migrated' })
  await world.reset()
  await world.pool.query(`delete from e2e.config; select provisioning.forbid_reset()`)

  await t.rejects(world.reset(), { code: 'database_not_disposable', statusCode: 403 })

  t.equal((await world.pool.query('select from e2e.config')).rowCount, 0)
})

test('a role that may not make temporary objects is refused, and told what it needs', async (t) => {
  const world = await createResetWorld(t, { from: 'empty', schema: 'select 1', asOwner: true })
  await world.pool.query(`alter database ${world.name} owner to current_user;
                          revoke temporary on database ${world.name} from public`)

  const error = await world.reset().catch((cause) => cause)

  t.match(error, { code: 'privilege_missing', statusCode: 409, message: /grant it TEMPORARY/ })
})

test('rows that their constraints do not let in again are refused, and stay as they are', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create table public.seeds (v int); insert into public.seeds values (-1);
             alter table public.seeds add constraint v_is_positive check (v > 0) not valid`,
  })
  await world.pool.query('insert into public.seeds values (2)')

  await t.rejects(world.reset(), { code: 'rows_not_restorable', statusCode: 409 })

  t.equal((await world.pool.query('select from public.seeds')).rowCount, 2)
})

test('what the role may not reset is refused by name, and nothing is reset', async (t) => {
  const schema = 'create table public.mine (n int); create table public.theirs (n int)'
  const world = await createResetWorld(t, { from: 'empty', schema, asOwner: true })
  await world.pool.query(`insert into public.mine values (1)`)
  await world.pool.query(`alter table public.theirs owner to ${(await whoIs(world.pool)).name}`)

  const error = await world.reset().catch((cause) => cause)

  t.match(error, { code: 'not_owner', statusCode: 409 })
  t.same(error.extensions.relations, ['public.theirs'])
  t.equal((await world.pool.query('select from public.mine')).rowCount, 1)
})

async function createMarked(t: Test): Promise<{ name: string }> {
  const { pool, name } = await createTestDatabase(t, { from: 'empty' })
  await ensureStore(pool)
  await pool.query('select provisioning.allow_reset($1)', [name])
  // A database with connections can be neither copied nor renamed.
  await maintain(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${name}'`,
  )
  return { name }
}

async function whoIs(pool: pg.Pool): Promise<{ name: string }> {
  const { rows } = await pool.query<{ name: string }>('select current_user as name')
  return rows[0] as { name: string }
}

async function isDisposableIn(name: string): Promise<boolean> {
  const url = new URL(loadServer().url)
  url.pathname = `/${name}`
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  try {
    return await isDisposable(client)
  } finally {
    await client.end()
  }
}

async function maintain(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: loadServer().url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
