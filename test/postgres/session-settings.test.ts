import pg from 'pg'
import { type Test, test } from 'tap'
import { applyResetSettings, withCanonicalSettings } from '../../src/postgres/session-settings.ts'
import { createTestDatabase } from '../support/postgres.ts'

/** Before PostgreSQL 17 there is no transaction_timeout. */
const TIME_LIMITS = [
  'statement_timeout',
  'lock_timeout',
  'transaction_timeout',
  'idle_session_timeout',
  'idle_in_transaction_session_timeout',
]

const INHERITED = { DateStyle: 'German, DMY', TimeZone: 'Asia/Kathmandu', search_path: 'app' }

test('applyResetSettings makes a session independent of what the database sets', async (t) => {
  const client = await openLimited(t, {
    default_transaction_isolation: 'serializable',
    default_transaction_read_only: 'on',
  })

  await applyResetSettings(client)

  const wanted = {
    DateStyle: 'ISO, MDY',
    TimeZone: 'UTC',
    search_path: 'pg_catalog, pg_temp',
    default_transaction_isolation: 'read committed',
    default_transaction_read_only: 'off',
    lock_timeout: '1s',
    statement_timeout: '0',
  }
  t.strictSame(await show(client, Object.keys(wanted)), wanted)
})

test('withCanonicalSettings applies to one transaction', async (t) => {
  const client = await openLimited(t, { default_transaction_isolation: 'serializable' })
  await client.query('create schema app; create table app.t (n int)')

  const inside = await withCanonicalSettings(client, async () => {
    await client.query('insert into app.t values (1)')
    return {
      limits: await showLimits(client),
      ...(await show(client, ['DateStyle', 'search_path', 'transaction_isolation'])),
    }
  })

  t.strictSame(inside, {
    limits: ['0'],
    DateStyle: 'ISO, MDY',
    search_path: 'pg_catalog, pg_temp',
    transaction_isolation: 'read committed',
  })
  t.strictSame(await show(client, Object.keys(INHERITED)), INHERITED)
  t.strictSame(await showLimits(client), ['1min'])
  t.equal((await client.query('select from app.t')).rowCount, 1, 'committed')
})

test('withCanonicalSettings rolls back when its work fails', async (t) => {
  const client = await openLimited(t)
  await client.query('create schema app; create table app.t (n int)')
  const failure = new Error('on purpose')

  const outcome = withCanonicalSettings(client, async () => {
    await client.query('insert into app.t values (1)')
    throw failure
  })

  t.equal(await outcome.catch((error) => error), failure)
  t.equal((await client.query('select from app.t')).rowCount, 0)
})

/** Connects to a database that sets time limits and text formats, as one for applications may. */
async function openLimited(t: Test, settings: Record<string, string> = {}): Promise<pg.Client> {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  for (const limit of await listLimits(pool)) {
    await pool.query(`alter database ${name} set ${limit} = '1min'`)
  }
  for (const [setting, value] of Object.entries({ ...INHERITED, ...settings })) {
    await pool.query(`alter database ${name} set ${setting} = '${value}'`)
  }
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return client
}

async function listLimits(client: Pick<pg.ClientBase, 'query'>): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    'select name from pg_catalog.pg_settings where name = any ($1)',
    [TIME_LIMITS],
  )
  return rows.map(({ name }) => name)
}

/** The distinct values of all time limits. */
async function showLimits(client: pg.Client): Promise<string[]> {
  return [...new Set(Object.values(await show(client, await listLimits(client))))]
}

async function show(client: pg.Client, names: readonly string[]): Promise<Record<string, string>> {
  const { rows } = await client.query<{ name: string; value: string }>(
    `select name, pg_catalog.current_setting(name) as value from unnest($1::text[]) as name`,
    [names],
  )
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
}
