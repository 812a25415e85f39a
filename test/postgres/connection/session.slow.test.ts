import { userInfo } from 'node:os'
import pg from 'pg'
import { type Test, test } from 'tap'
import {
  type ConnectionTarget,
  openSession,
  type SessionOptions,
} from '../../../src/postgres/connection/session.ts'
import { findFreePort } from '../../support/port.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { createTestRole } from '../../support/roles.ts'
import { loadServer } from '../../support/server.ts'
import { fatalError, startFakeServer } from '../fixtures/fake-server.ts'

const LIMITS = [
  'statement_timeout',
  'lock_timeout',
  'idle_session_timeout',
  'idle_in_transaction_session_timeout',
]

test('PG* environment variables have no effect', async (t) => {
  const { url, name } = await createTestDatabase(t, { from: 'empty' })
  t.teardown(
    setVariables({
      PGUSER: 'nobody_here',
      PGPASSWORD: 'the-password',
      PGDATABASE: 'nowhere',
      PGHOST: 'no-such-host.invalid',
      PGPORT: '1',
      PGOPTIONS: '-c statement_timeout=1234',
      PGSSLMODE: 'require',
      PGSSLNEGOTIATION: 'direct',
      PGAPPNAME: 'from the environment',
      PGCONNECT_TIMEOUT: '1',
      PGUSERNAME: userInfo().username,
    }),
  )

  const client = await open(t, url)
  const { rows } = await client.query(
    `select current_database() as name,
            current_setting('statement_timeout') as timeout,
            current_setting('application_name') as application`,
  )

  t.strictSame(rows, [{ name, timeout: '0', application: 'session test' }])
})

test('limits that belong to an application are lifted; options of the URL count', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  for (const limit of LIMITS) await pool.query(`alter database ${name} set ${limit} = '1min'`)
  const show = async (client: pg.Client) => {
    const { rows } = await client.query(
      'select current_setting(name) as value from unnest($1::text[]) name',
      [LIMITS],
    )
    return rows.map(({ value }) => value)
  }
  const options = encodeURIComponent('-c statement_timeout=4321 -c custom.setting=a\\ b')

  t.strictSame(await show(await open(t, url)), ['0', '0', '0', '0'])
  t.strictSame(await show(await open(t, url, { settings: {} })), Array(4).fill('1min'))
  const client = await open(t, `${url}?options=${options}`)
  t.strictSame(await show(client), ['4321ms', '0', '0', '0'])
  const { rows } = await client.query(`select current_setting('custom.setting') as custom`)
  t.strictSame(rows, [{ custom: 'a b' }])
})

for (const options of ['-c no_such_setting=1', '-c statement_timeout=soon']) {
  test(`options that PostgreSQL rejects are a wrong setting: ${options}`, async (t) => {
    const { url } = await createTestDatabase(t, { from: 'empty' })

    await t.rejects(open(t, `${url}?options=${encodeURIComponent(options)}`), {
      code: 'wrong_settings',
      message: /DATABASE_URL.*(no_such_setting|statement_timeout)/,
    })
  })
}

for (const name of ['My#App', 'a/b?c', '100% ü', 'plus+and space']) {
  test(`a database called ${name} is reached`, async (t) => {
    const admin = new pg.Client({ connectionString: loadServer().url })
    await admin.connect()
    const unique = `${name} ${process.pid}`
    await admin.query(`create database "${unique}"`)
    t.teardown(async () => {
      await admin.query(`drop database "${unique}" with (force)`)
      await admin.end()
    })
    const url = new URL(loadServer().url)

    const client = await open(
      t,
      `postgres://${url.username}:${url.password}@${url.host}/${encodeURIComponent(unique)}`,
    )

    const { rows } = await client.query('select current_database() as name')
    t.strictSame(rows, [{ name: unique }])
    await client.end()
  })
}

test('hosts are tried in order', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const { host, username, password, pathname } = new URL(url)
  const refused = `127.0.0.1:${await findFreePort()}`
  const starting = new URL(await startFakeServer(t, (socket) => socket.end(fatalError('57P03'))))
  const urlOf = (...hosts: string[]) =>
    `postgres://${username}:${password}@${hosts.join(',')}${pathname}`

  const { client, address } = await openSession(urlOf(refused, starting.host, host), OPTIONS)
  t.teardown(() => client.end())
  const error = await openSession(urlOf(refused, starting.host), OPTIONS).catch((error) => error)

  t.equal(`${address.host}:${address.port}`, host)
  t.equal(error.code, 'ENOHOST')
  t.match(error.message, `${refused}: connect ECONNREFUSED`)
  t.match(error.message, `${starting.host}: not now (57P03)`)
})

test('with several hosts, or on request, a database that is read-only is passed over', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`alter database ${name} set default_transaction_read_only = on`)
  const { host, username, password, pathname } = new URL(url)
  const twice = `postgres://${username}:${password}@${host},${host}${pathname}`

  await t.rejects(open(t, twice), { code: 'ENOHOST', message: /read-only.*read-only/ })
  await t.rejects(open(t, `${url}?target_session_attrs=read-write`), { code: 'ENOTWRITABLE' })
  await t.resolves(open(t, `${url}?target_session_attrs=primary`))
  await t.resolves(open(t, url), 'the caller decides')
})

test('a rejected login is an error at once, and the next host is not tried', async (t) => {
  const role = await createTestRole(t)
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`revoke connect on database ${name} from public`)
  const { host } = new URL(url)

  const error = await open(t, `postgres://${role}@${host},${host}/${name}`).catch((error) => error)

  t.match(error, { code: 'database_connect_denied', exitCode: 3 })
  t.match(error.message, `login to database ${name} at ${host} was rejected: `)
})

test('a server without TLS satisfies prefer and allow, and no stronger sslmode', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const { rows } = await pool.query('show ssl')
  if (rows[0].ssl === 'on') {
    t.pass('no TLS', { skip: 'NOT TESTED: the test server has TLS' })
    return
  }

  for (const mode of ['disable', 'allow', 'prefer']) {
    await t.resolves(open(t, `${url}?sslmode=${mode}`), mode)
  }
  for (const mode of ['require', 'verify-ca', 'verify-full']) {
    await t.rejects(open(t, `${url}?sslmode=${mode}`), {
      code: 'database_tls_failed',
      exitCode: 3,
      message: /sslrootcert/,
    })
  }
})

test('the URL is read again for each session', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const urls = [url.replace(/\/[^/]*$/, '/nowhere'), url]
  const target = () => urls.shift() ?? ''

  await t.rejects(open(t, target), { code: 'database_missing' })
  await t.resolves(open(t, target))
})

test('the signal ends the attempt', async (t) => {
  const reason = new Error('stop')
  const stop = new AbortController()
  const url = await startFakeServer(t, () => stop.abort(reason))

  const error = await open(t, url, { signal: stop.signal }).catch((error) => error)

  t.equal(error, reason)
})

const OPTIONS: SessionOptions = { applicationName: 'session test' }

async function open(t: Test, target: ConnectionTarget, options: Partial<SessionOptions> = {}) {
  const { client } = await openSession(target, { ...OPTIONS, ...options })
  t.teardown(() => client.end())
  return client
}

/** Sets environment variables; returns a function that restores the old ones. */
function setVariables(variables: Record<string, string>): () => void {
  const before = { ...process.env }
  Object.assign(process.env, variables)
  return () => {
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  }
}
