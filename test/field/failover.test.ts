// Failover, rotated passwords, read-only databases and silent connections for real, with the built service.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { type Cluster, findClusterProblem, startCluster } from '../support/cluster.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { openProxy } from '../support/proxy.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/until.ts'

const skip = findClusterProblem() ?? false
const BODIES = ['create schema one;', 'create table one.t (id int);']
const TOKEN = 'a-token-of-16-characters'

async function startPair(t: Test): Promise<{ primary: Cluster; standby: Cluster; url: string }> {
  const primary = await startCluster(t)
  const standby = await startCluster(t, { standbyOf: primary })
  const hosts = `127.0.0.1:${standby.port},127.0.0.1:${primary.port}`
  const url = `postgres://postgres@${hosts}/postgres?target_session_attrs=read-write`
  return { primary, standby, url }
}

async function isCaughtUp(primary: Cluster, standby: Cluster, sql: string): Promise<void> {
  const { rows } = await primary.query(sql)
  await until('the standby has caught up', async () => {
    const found = await standby.query(sql).catch(() => ({ rows: [] }))
    return JSON.stringify(found.rows) === JSON.stringify(rows)
  })
}

async function failOver({ primary, standby }: { primary: Cluster; standby: Cluster }) {
  await primary.stop('immediate')
  await standby.promote()
}

test('a standby that is promoted at rest is found', { skip }, async (t) => {
  const pair = await startPair(t)
  const service = startService(t, {
    DATABASE_URL: pair.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
  })
  await service.waitForReady()
  t.match((await service.get('/status')).body, { database: { port: pair.primary.port } })
  await isCaughtUp(pair.primary, pair.standby, 'select filename from graphile_migrate.migrations')

  await pair.primary.stop('immediate')
  await service.waitForReason('database_unavailable')
  await pair.standby.promote()
  await service.waitForReady()

  t.match((await service.get('/status')).body, {
    database: { port: pair.standby.port },
    migrations: { applied: [{}, {}] },
  })
  t.match(await service.stop(), { code: 0 })
})

test('a start waits for a standby that is not yet promoted', { skip }, async (t) => {
  const pair = await startPair(t)
  await pair.primary.stop('immediate')
  const service = startService(t, {
    DATABASE_URL: pair.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
  })
  await until('the service waits', () => service.output().includes('standby'))

  await pair.standby.promote()
  await service.waitForReady()

  t.match(await service.stop(), { code: 0 })
})

test('a standby that is promoted in the middle of a migration completes it', {
  skip,
}, async (t) => {
  const pair = await startPair(t)
  const service = startService(t, {
    DATABASE_URL: pair.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, [...BODIES, 'select pg_sleep(4);', 'select 4;']),
  })
  await until('the third runs', () => service.output().includes('000002-step-2.sql'))
  await isCaughtUp(pair.primary, pair.standby, 'select filename from graphile_migrate.migrations')

  await failOver(pair)
  await service.waitForReady()

  const { rows } = await pair.standby.query('select filename from graphile_migrate.migrations')
  t.equal(rows.length, 4)
  t.match(await service.stop(), { code: 0 })
})

test('a reset in the middle of a failover fails with the loss, and the service heals', {
  skip,
}, async (t) => {
  const pair = await startPair(t)
  const service = startService(t, {
    DATABASE_URL: pair.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
    RESET_ENABLED: 'true',
    RESET_TOKEN: TOKEN,
  })
  await service.waitForReady()
  await pair.primary.query('insert into one.t values (1)')
  await isCaughtUp(pair.primary, pair.standby, 'select id from one.t')
  const blocking = pair.primary
    .query('begin; lock table one.t; select pg_sleep(60)')
    .catch(() => {})
  await until('the table is locked', async () => {
    const { rowCount } = await pair.primary.query(
      `select from pg_locks where relation = 'one.t'::regclass and mode = 'AccessExclusiveLock'`,
    )
    return rowCount === 1
  })

  const resetting = reset(service)
  await pair.primary.stop('immediate')
  t.match(await resetting, { status: 503 })
  await pair.standby.promote()
  await blocking
  await service.waitForReady()

  // The promotion made another timeline: the mark no longer counts.
  t.match(await reset(service), { status: 403, body: { code: 'database_not_disposable' } })
  t.equal((await pair.standby.query('select from one.t')).rowCount, 1, 'nothing was emptied')
  t.match(await service.stop(), { code: 0 })
})

test('a rotated password is picked up, and rejected logins are spaced out', { skip }, async (t) => {
  const cluster = await startCluster(t, {
    hba: ['host all postgres 127.0.0.1/32 trust', 'host all app 127.0.0.1/32 scram-sha-256'],
    settings: { log_connections: 'on' },
  })
  await cluster.query(`create role app superuser login password 'first-password'`)
  const file = join(t.testdir({}), 'url')
  const write = (password: string) =>
    writeFileSync(file, `postgres://app:${password}@127.0.0.1:${cluster.port}/postgres\n`)
  write('first-password')
  const service = startService(t, {
    DATABASE_URL_FILE: file,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
  })
  await service.waitForReady()

  await cluster.query(
    `alter role app password 'second-password';
     select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'`,
  )
  await becomes(t, async () => /rejected/.test((await service.get('/readyz')).body.detail), true)
  await new Promise((resolve) => setTimeout(resolve, 6000))
  write('second-password')
  const changedAt = Date.now()
  await service.waitForReady()

  t.ok(Date.now() - changedAt < 2000, `ready after ${Date.now() - changedAt} ms`)
  const failed = readLog(cluster).match(/password authentication failed/g) ?? []
  t.ok(failed.length <= 4, `${failed.length} failed logins in six seconds`)
  t.notMatch(service.output(), /first-password|second-password/)
  t.match(await service.stop(), { code: 0 })
})

test('a database that becomes read-only is not ready, and heals', async (t) => {
  const { url, name, pool } = await createTestDatabase(t, { from: 'empty' })
  const service = startService(t, {
    DATABASE_URL: url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
  })
  await service.waitForReady()

  await pool.query(`alter database ${name} set default_transaction_read_only = on`)
  t.match(await service.waitForReason('database_unavailable'), { body: { detail: /read-only/ } })
  await pool.query(`alter database ${name} reset default_transaction_read_only`)
  await service.waitForReady()

  t.match(await service.stop(), { code: 0 })
})

test('connections that go silent hold up neither a reset nor a stop', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const proxy = await openProxy(t, url)
  const service = startService(t, {
    DATABASE_URL: proxy.url,
    MIGRATIONS_DIR: createMigrationsFolder(t, BODIES),
    RESET_ENABLED: 'true',
    RESET_TOKEN: TOKEN,
  })
  await service.waitForReady()
  t.match(await reset(service), { status: 200 })
  await pool.query('insert into one.t values (1)')

  proxy.pause()
  t.match(await reset(service), { status: 503, body: { code: 'database_lost' } })
  await service.waitForReady()
  await becomes(t, async () => (await reset(service)).status, 200)

  proxy.pause()
  const stoppedAt = Date.now()
  t.match(await service.stop(), { code: 0 })
  t.ok(Date.now() - stoppedAt < 3000, `stopped after ${Date.now() - stoppedAt} ms`)
})

function reset(service: Service) {
  return service.request('/reset', {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
  })
}

function readLog({ folder }: Cluster): string {
  return readFileSync(join(folder, 'log'), 'utf8')
}
