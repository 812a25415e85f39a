// Leases through time: waiting, expiry, restarts, several services, new histories, and what borrowers do.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { type Test, test } from 'tap'
import { writeCommitted } from '../support/migrations-folder.ts'
import { createTestRole } from '../support/roles.ts'
import { until } from '../support/until.ts'
import {
  createWorld,
  FIRST,
  type LendingService,
  type Lent,
  readLabels,
  runIn,
  SECOND,
  startLending,
} from './lending.ts'

test('a database may end before the last migration, and seeds follow the last one', async (t) => {
  const { folder, env } = await createWorld(t)
  mkdirSync(join(folder, 'seeds'))
  writeFileSync(join(folder, 'seeds', 'a.sql'), `insert into things (label) values ('seed');`)
  const service = await startLending(t, { ...env, SEEDS_DIR: join(folder, 'seeds') })

  const whole = await service.lend()
  t.strictSame(await readLabels(whole.url), ['first', 'second', 'seed'])
  t.equal(whole.history.last, '000002')
  const part = await service.lend({ through: '000001' })
  t.strictSame(await readLabels(part.url), ['first'])
  t.equal(part.history.last, '000001')
  t.match(await service.call('POST', '/databases', { through: '000003' }), {
    status: 400,
    body: { code: 'body_wrong' },
  })

  writeFileSync(join(folder, 'seeds', 'a.sql'), `insert into things (label) values ('other');`)
  const next = await service.lend()
  t.strictSame(await readLabels(next.url), ['first', 'second', 'other'], 'another seed')
  await service.giveBack(whole)
  const again = await service.lend()
  t.strictSame(await readLabels(again.url), ['first', 'second', 'other'], 'never the old one again')
})

test('a request waits for a database, and a client that has gone gets none', async (t) => {
  const { env } = await createWorld(t)
  const service = await startLending(t, { ...env, TEST_DATABASES_MAX: '1' })
  const first = await service.lend({ label: 'the holder' })

  const refused = await service.call('POST', '/databases', { waitMs: 100 })
  t.match(refused, {
    status: 429,
    body: { code: 'no_database_free', lent: [{ id: first.id, label: 'the holder' }] },
  })
  t.match(refused.headers.get('retry-after'), /^\d+$/)
  t.notMatch(JSON.stringify(refused.body), 'postgres://')

  const gone = new AbortController()
  const waiting = service.call('POST', '/databases', { label: 'gone' }, { signal: gone.signal })
  const next = service.lend({ label: 'next' })
  gone.abort()
  await t.rejects(waiting)
  await service.giveBack(first)
  t.equal((await next).label, 'next')
  const { body } = await service.call('GET', '/databases')
  t.strictSame(
    body.map(({ label }: { label: string }) => label),
    ['next'],
  )
})

test('requests that come together get a database each, and each returns it once', async (t) => {
  const { env } = await createWorld(t)
  const service = await startLending(t, env)
  await service.waitForCounts({ ready: 4 })
  // Half of a pair, which JSON can say and PostgreSQL cannot.
  const labels = ['one', 'half \ud800', `three's \\`, 'four']

  const lent = await Promise.all(labels.map((label) => service.lend({ label })))
  t.equal(new Set(lent.map(({ name }) => name)).size, labels.length)
  t.strictSame(
    lent.map(({ label }) => label),
    ['one', 'half \ufffd', `three's \\`, 'four'],
  )

  const returned = [...lent, ...lent].map(({ id }) => service.call('DELETE', `/databases/${id}`))
  const statuses = (await Promise.all(returned)).map(({ status }) => status)
  t.strictSame(statuses.toSorted(), [204, 204, 204, 204, 404, 404, 404, 404])
  await service.waitForCounts({ lent: 0, ready: 4 })
})

test('a lease that runs out is taken back, unless sessions are open', async (t) => {
  const { env } = await createWorld(t)
  const service = await startLending(t, env)
  const [idle, busy, extended, long] = [
    await service.lend(),
    await service.lend(),
    await service.lend({ ttlSeconds: 60 }),
    await service.lend(),
  ]
  const client = new pg.Client({ connectionString: busy.url })
  client.on('error', () => {})
  await client.connect()
  const other = new pg.Client({ connectionString: long.url })
  const ended = new Promise((resolve) => other.on('error', resolve))
  await other.connect()
  const extend = (id: string, ttlSeconds: number) =>
    service.call('PUT', `/databases/${id}/expiry`, { ttlSeconds })
  // Only now, with the sessions open: a busy machine may take a second to open them.
  for (const { id } of [idle, busy, long]) t.match(await extend(id, 1), { status: 200 })
  const later = await extend(extended.id, 600)
  t.equal(later.status, 200)
  t.ok(Date.parse(later.body.expiresAt) - Date.parse(extended.expiresAt) > 500_000)

  await until('the idle one is taken back', async () => {
    return (await service.call('GET', `/databases/${idle.id}`)).status === 404
  })
  await assertEnded(t, service, idle)
  const { body } = await service.call('GET', `/databases/${busy.id}`)
  t.match(body, { connections: 1 })
  await client.query('select')
  t.match(await service.call('GET', `/databases/${extended.id}`), { status: 200 })
  // Ten times a second, from when that was asked for.
  await ended
  await until('its database is dropped', async () => {
    const { rowCount } = await runIn(
      env.DATABASE_URL,
      `select from pg_database where datname = '${long.name}'`,
    )
    return rowCount === 0
  })
  await assertEnded(t, service, long)
  await client.end().catch(() => {})
})

test('a database that was listed without an answer, and never made, is forgotten', async (t) => {
  const { env } = await createWorld(t)
  const service = await startLending(t, env)
  await service.giveBack(await service.lend())
  const { rowCount } = await runIn(
    env.DATABASE_URL,
    `insert into provisioning.test_database
            (oid, name, server, home, template, is_template, keeper, state)
     select 4294967200, 'never_made', server, home, template, false, keeper, 'creating'
       from provisioning.test_database
      where not is_template
      limit 1`,
  )
  t.equal(rowCount, 1)

  await until('it is forgotten', async () => {
    const found = await runIn(
      env.DATABASE_URL,
      `select from provisioning.test_database where name = 'never_made'`,
    )
    return found.rowCount === 0
  })
})

test('a borrower may drop or rename its database; others are left alone', async (t) => {
  const { db, env, listDatabases } = await createWorld(t)
  const service = await startLending(t, env)
  const [dropped, renamed, replaced] = [
    await service.lend(),
    await service.lend(),
    await service.lend(),
  ]
  // Without force: the service has to leave it.
  await db.pool.query(`drop database "${dropped.name}"`)
  await db.pool.query(`alter database "${renamed.name}" rename to "${db.name}_renamed"`)
  await db.pool.query(`drop database "${replaced.name}"`)
  await db.pool.query(`create database "${replaced.name}"`)
  for (const lent of [dropped, renamed, replaced]) {
    t.match(await service.call('GET', `/databases/${lent.id}`), {
      status: 200,
      body: { name: lent.name, connections: 0 },
    })
    await service.giveBack(lent)
    await assertEnded(t, service, lent)
  }

  await until('the renamed one is gone', async () => {
    return !(await listDatabases()).includes(`${db.name}_renamed`)
  })
  await service.waitForCounts({ lent: 0, ready: 4 })
  const { rows } = await db.pool.query(
    `select count(*)::int as count from provisioning.test_database where state <> 'ready'`,
  )
  t.equal(rows[0].count, 0, 'nothing is left to be done')
  t.ok((await listDatabases()).includes(replaced.name), 'the other one with that name is there')
  await service.stop()
  t.ok((await listDatabases()).includes(replaced.name), 'also after a stop')
})

test('what is lent outlives services; what is not goes with a stop, or the next start', async (t) => {
  const { db, env, listDatabases } = await createWorld(t)
  const first = await startLending(t, env)
  const lent = await first.lend({ ttlSeconds: 600 })
  await runIn(lent.url, `insert into things (label) values ('mine')`)
  t.match(await first.stop(), { code: 0 })
  const kept = (await listDatabases()).filter((name) => !name.includes('_template_'))
  t.strictSame(kept, [lent.name], 'a stop keeps what is lent')

  const second = await startLending(t, env)
  t.match(await second.call('GET', `/databases/${lent.id}`), { status: 200 })
  t.strictSame(await readLabels(lent.url), ['first', 'second', 'mine'])
  await second.waitForCounts({ lent: 1, ready: 4 })
  const short = await second.lend({ ttlSeconds: 1 })
  await second.stop('SIGKILL')

  const third = await startLending(t, env)
  await until('the old ones are gone', async () => {
    const names = (await listDatabases()).filter((name) => !name.includes('_template_'))
    return !names.includes(short.name) && names.length === 5
  })
  await third.giveBack(lent)
  await until('the returned one is gone', async () => !(await listDatabases()).includes(lent.name))
  await third.stop()
  t.strictSame(
    (await listDatabases()).filter((name) => !name.includes('_template_')),
    [],
  )
  const { rows } = await db.pool.query('select is_template from provisioning.test_database')
  t.strictSame(rows, [{ is_template: true }], 'one template was made, and is kept')
})

test('several services share one limit, and answer for each other', async (t) => {
  const { env } = await createWorld(t)
  const settings = { ...env, TEST_DATABASES_MAX: '3' }
  const [a, b] = await Promise.all([startLending(t, settings), startLending(t, settings)])
  const lent = await Promise.all([a.lend(), b.lend(), a.lend()])
  t.equal(new Set(lent.map(({ name }) => name)).size, 3)
  t.match(await b.call('POST', '/databases', { waitMs: 0 }), { status: 429 })

  t.match(await b.call('GET', `/databases/${lent[0].id}`), { status: 200 })
  const next = b.lend()
  // Through the other service than the one that made it.
  await b.giveBack(lent[0])
  t.ok((await next).id)
  t.match(await a.call('DELETE', `/databases/${lent[0].id}`), { status: 404 })
  await runIn(lent[1].url, 'delete from things')
  await a.giveBack(lent[1])
  t.strictSame(await readLabels((await a.lend()).url), ['first', 'second'])
})

test('a new history makes a new template; the old one goes with its last lease', async (t) => {
  const { folder, env, listDatabases } = await createWorld(t)
  const first = await startLending(t, env)
  const old = await first.lend({ ttlSeconds: 600 })
  await first.stop()
  const templates = async () =>
    (await listDatabases()).filter((name) => name.includes('_template_'))
  const [oldTemplate] = await templates()

  writeCommitted(folder, [FIRST, SECOND, `insert into things (label) values ('third')`])
  const second = await startLending(t, env)
  t.strictSame(await readLabels((await second.lend()).url), ['first', 'second', 'third'])
  t.strictSame(await readLabels(old.url), ['first', 'second'])
  t.ok((await templates()).includes(oldTemplate ?? ''), 'the template of a lease is kept')
  await second.giveBack(old)
  await until('the old template is gone', async () => {
    return !(await templates()).includes(oldTemplate ?? '')
  })
  t.equal((await templates()).length, 1)
})

test('schemas that RESET_IGNORE_SCHEMAS and RESET_EMPTY_SCHEMAS name are not kept', async (t) => {
  const { env } = await createWorld(t)
  const service = await startLending(t, {
    ...{ ...env, TEST_DATABASES_MAX: '1' },
    ...{ RESET_ENABLED: 'true', RESET_TOKEN: 'another-long-token' },
    ...{ RESET_IGNORE_SCHEMAS: 'ignored', RESET_EMPTY_SCHEMAS: 'emptied' },
  })
  for (const schema of ['ignored', 'emptied']) {
    const lent = await service.lend()
    await runIn(lent.url, `create schema ${schema}`)
    await service.giveBack(lent)
    const next = await service.lend()
    t.not(next.name, lent.name, 'another one')
    const { rowCount } = await runIn(
      next.url,
      `select to_regnamespace('${schema}') where to_regnamespace('${schema}') is not null`,
    )
    t.equal(rowCount, 0)
    await service.giveBack(next)
  }
})

test('a role without createdb needs ROOT_DATABASE_URL', async (t) => {
  const { db, env, listDatabases } = await createWorld(t)
  const role = await createTestRole(t, `login password 'only-for-this-test'`)
  await db.pool.query(`alter database "${db.name}" owner to ${role}`)
  const url = new URL(db.url)
  url.username = role
  url.password = 'only-for-this-test'
  const without = await startLending(t, { ...env, DATABASE_URL: url.href })
  t.match(await without.call('POST', '/databases', { waitMs: 0 }), {
    status: 409,
    body: { code: 'privilege_missing' },
  })
  await without.stop()

  const service = await startLending(t, {
    ...env,
    DATABASE_URL: url.href,
    ROOT_DATABASE_URL: db.url,
  })
  const lent = await service.lend()
  t.strictSame(await readLabels(lent.url), ['first', 'second'])
  await runIn(lent.url, 'delete from things')
  await service.waitForCounts({ lent: 1, ready: 4 })
  await service.giveBack(lent)
  await service.waitForCounts({ lent: 0, ready: 5 })
  t.equal((await service.lend()).name, lent.name, 'it is lent again')
  await service.stop()
  for (const name of await listDatabases()) {
    await db.pool.query(`drop database "${name}" with (force)`)
  }
  await db.pool.query(`reassign owned by ${role} to current_user; drop owned by ${role}`)
})

/** The lease is over, however it ended: nobody can return it again. */
async function assertEnded(t: Test, service: LendingService, { id }: Lent): Promise<void> {
  const gone = { status: 404, body: { code: 'lease_not_found' } }
  for (const method of ['GET', 'DELETE']) {
    t.match(await service.call(method, `/databases/${id}`), gone, method)
  }
}
