import { test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createTestRole } from '../support/roles.ts'
import { startService } from '../support/service.ts'

test('twenty services start at once: all become ready, and each migration runs once', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const folder = createMigrationsFolder(t, [
    'create table public.runs (step int);',
    'insert into public.runs values (2);',
    'insert into public.runs values (3);',
  ])

  const services = Array.from({ length: 20 }, () =>
    startService(t, { DATABASE_URL: url, MIGRATIONS_DIR: folder }),
  )
  await Promise.all(services.map((service) => service.waitForReady()))

  const { rows } = await pool.query('select step from public.runs order by step')
  t.strictSame(rows, [{ step: 2 }, { step: 3 }])
  const lines = services.flatMap((service) => service.log())
  t.equal(lines.filter(({ msg }) => msg === 'migration applied').length, 3)
  const endings = await Promise.all(services.map((service) => service.stop()))
  t.ok(endings.every(({ code }) => code === 0))
})

test('ten services share a role that is limited to five connections, each ready in its turn', async (t) => {
  const role = await createTestRole(t, 'login superuser connection limit 5')
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  // The limit does not hold for superusers.
  await pool.query(
    `alter role ${role} nosuperuser; alter database ${new URL(url).pathname.slice(1)} owner to ${role}`,
  )
  t.teardown(() => pool.query(`reassign owned by ${role} to current_user`).catch(() => {}))
  const MIGRATIONS_DIR = createMigrationsFolder(t, ['create schema one;', 'create schema two;'])
  const DATABASE_URL = url.replace('postgres@', `${role}@`)
  const waiting = Array.from({ length: 10 }, () =>
    startService(t, { DATABASE_URL, MIGRATIONS_DIR }),
  )

  while (waiting.length > 0) {
    const service = await Promise.any(waiting.map((one) => one.waitForReady().then(() => one)))
    t.match(await service.stop(), { code: 0 })
    t.notMatch(service.output(), 'MaxListeners')
    waiting.splice(waiting.indexOf(service), 1)
  }
})

test('as many services as the limit allows become ready, and each keeps the session that it watches with', async (t) => {
  const role = await createTestRole(t, 'login superuser connection limit 5')
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(
    `alter role ${role} nosuperuser; alter database ${new URL(url).pathname.slice(1)} owner to ${role}`,
  )
  t.teardown(() => pool.query(`reassign owned by ${role} to current_user`).catch(() => {}))
  const MIGRATIONS_DIR = createMigrationsFolder(t, ['create schema one;'])
  const DATABASE_URL = url.replace('postgres@', `${role}@`)
  const services = Array.from({ length: 10 }, () =>
    startService(t, { DATABASE_URL, MIGRATIONS_DIR }),
  )
  const countReady = async () => {
    const answers = await Promise.all(services.map((service) => service.get('/readyz')))
    return answers.filter(({ status }) => status === 200).length
  }

  await becomes(t, async () => (await countReady()) >= 5, true)

  const ready = services.filter((service) => service.log().some(({ msg }) => msg === 'ready'))
  for (const service of ready) {
    const lines = service.log()
    const since = lines.findIndex(({ msg }) => msg === 'ready')
    t.notOk(lines.slice(since).some(({ msg }) => msg === 'database unavailable'))
  }
})

test('a service whose role may have one connection is ready on a migrated database', async (t) => {
  const role = await createTestRole(t, 'login superuser connection limit 1')
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(
    `alter role ${role} nosuperuser; alter database ${new URL(url).pathname.slice(1)} owner to ${role}`,
  )
  t.teardown(() => pool.query(`reassign owned by ${role} to current_user`).catch(() => {}))
  const MIGRATIONS_DIR = createMigrationsFolder(t, ['create schema one;'])
  const first = startService(t, { DATABASE_URL: url, MIGRATIONS_DIR })
  await first.waitForReady()
  await first.stop()
  await pool.query(`grant all on schema graphile_migrate to ${role};
                    grant all on all tables in schema graphile_migrate to ${role}`)

  const service = startService(t, {
    DATABASE_URL: url.replace('postgres@', `${role}@`),
    MIGRATIONS_DIR,
  })

  await service.waitForReady()
  t.match(await service.stop(), { code: 0 })
  t.notMatch(service.output(), 'MaxListeners')
})

test('a role with one connection, which cannot migrate, leaves no listeners behind', async (t) => {
  const role = await createTestRole(t, 'login superuser connection limit 1')
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(
    `alter role ${role} nosuperuser; alter database ${new URL(url).pathname.slice(1)} owner to ${role}`,
  )
  t.teardown(() => pool.query(`reassign owned by ${role} to current_user`).catch(() => {}))
  const service = startService(t, {
    DATABASE_URL: url.replace('postgres@', `${role}@`),
    MIGRATIONS_DIR: createMigrationsFolder(t, ['create schema one;']),
    DATABASE_WAIT_SECONDS: '12',
  })

  t.match(await service.ended, { code: 3 })
  t.notMatch(service.output(), 'MaxListeners')
})
