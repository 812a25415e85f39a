import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { test } from 'tap'
import { openEmbeddedServer } from '../../../src/database/embedded/embedded-server.ts'
import { waitForDatabase } from '../../../src/postgres/wait.ts'
import { findFreePort } from '../../support/port.ts'
import { settled, until } from '../../support/until.ts'
import {
  createFolder,
  isAlive,
  isReady,
  query,
  readProcessGroup,
  readServerPid,
  startService,
  suspendBackend,
} from './fixtures/embedded-process.ts'
import { createTemplate } from './fixtures/template.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

// Filled by the first test, so that the others need not wait for initdb.
const template = createTemplate(t)

test('the first start fills an empty folder, and the second start finds its data', async (t) => {
  mkdirSync(template.dataDir)
  const options = { dataDir: template.dataDir, port: await findFreePort() }
  const first = startService(t, options)
  await first.until(isReady)
  await query(first.url, 'create table public.marks as select 1 as mark')
  const serverPid = readServerPid(template.dataDir) ?? 0

  t.equal(await first.stop(), 0)
  t.notOk(isAlive(serverPid))
  t.equal(readServerPid(template.dataDir), undefined)

  const second = startService(t, options)
  await second.until(isReady)
  const { rows } = await query(second.url, 'select mark from public.marks')
  t.strictSame(rows, [{ mark: 1 }])
  t.equal(await second.stop(), 0)
})

test('while the service is running', async (t) => {
  const { service, folder, dataDir, port } = await template.startCopy(t)

  await t.test('the server accepts only local connections, with the password', async (t) => {
    const { rows } = await query(
      service.url,
      `select current_setting('listen_addresses') as addresses,
              current_setting('unix_socket_directories') as sockets`,
    )
    t.strictSame(rows, [{ addresses: '127.0.0.1', sockets: '' }])
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
    for (const { address } of others) {
      const other = query(`postgres://postgres:postgres@${address}:${port}/postgres`, 'select 1')
      await t.rejects(other, { code: 'ECONNREFUSED' })
    }
    await t.rejects(query(`postgres://postgres:guess@127.0.0.1:${port}/postgres`, 'select 1'), {
      code: '28P01',
    })
  })

  await t.test('a wrong or missing password is an error at once, and not printed', async (t) => {
    // PostgreSQL's own environment variables must have no effect.
    process.env.PGPASSWORD = 'postgres'
    t.teardown(() => delete process.env.PGPASSWORD)

    for (const login of ['postgres:guess-the-word', 'postgres']) {
      const error = await waitForDatabase(`postgres://${login}@127.0.0.1:${port}/postgres`, {
        waitMs: 30_000,
        purpose: 'wait test',
        log: silent,
        signal: new AbortController().signal,
      }).catch((error) => error)
      t.match(error, { code: 'database_password_wrong', exitCode: 3 })
      t.notMatch(JSON.stringify([error.message, error.stack, error]), 'guess-the-word')
    }
  })

  await t.test('what PL/pgSQL can find wrong in a function is an error', async (t) => {
    const shadowing = `create or replace function pg_temp.shadowing() returns void language plpgsql
      as $$ declare one int; begin declare one int; begin end; end $$`
    await t.rejects(query(service.url, shadowing), /shadows a previously defined variable/)
    await query(service.url, `set plpgsql.extra_errors = 'none'; ${shadowing}`)
  })

  await t.test('text is compared by rules that no system update changes', async (t) => {
    const { rows } = await query(
      service.url,
      `select pg_encoding_to_char(encoding) as encoding, datlocprovider as provider, datlocale as locale
       from pg_catalog.pg_database where datname = current_database()`,
    )

    t.strictSame(rows, [{ encoding: 'UTF8', provider: 'b', locale: 'C.UTF-8' }])
  })

  await t.test(
    'a second service on the same folder fails and leaves the first alone',
    async (t) => {
      const second = startService(t, { dataDir, port: await findFreePort() })

      t.equal(await second.waitForEnd(), 3)
      t.match(second.output.at(-1), { state: 'failed', code: 'embedded_data_dir_in_use' })
      t.match(second.output.at(-1)?.message, `the service with pid ${service.pid}`)
      t.equal((await query(service.url, 'select 1')).rowCount, 1)
    },
  )

  await t.test('a second service on the same port fails and creates no folder', async (t) => {
    const second = startService(t, { dataDir: join(folder, 'other'), port })

    t.equal(await second.waitForEnd(), 3)
    t.match(second.output.at(-1), { state: 'failed', code: 'embedded_port_in_use' })
    t.match(second.output.at(-1)?.message, `the service with pid ${service.pid}`)
    t.notOk(readdirSync(folder).includes('other'))
  })

  await t.test(
    'a signal to the whole process group stops the server through its service',
    async (t) => {
      t.equal(readProcessGroup(service.pid), service.pid)
      t.not(readProcessGroup(readServerPid(dataDir)), service.pid, 'it does not reach the server')

      process.kill(-service.pid, 'SIGINT')

      t.equal(await service.waitForEnd(), 0)
      t.equal(service.output.at(-1)?.state, 'closed')
      t.notOk(service.output.some(({ message }) => message?.includes('ended by itself')))
      t.equal(readServerPid(dataDir), undefined)
    },
  )
})

test('a port that another program listens on is an error', async (t) => {
  const port = await findFreePort()
  const other = createServer((socket) => socket.end()).listen(port, '127.0.0.1')
  t.teardown(() => other.close())

  const service = startService(t, { dataDir: join(createFolder(t), 'postgres'), port })

  t.equal(await service.waitForEnd(), 3)
  t.match(service.output.at(-1), { state: 'failed', code: 'embedded_port_in_use' })
  t.match(service.output.at(-1)?.message, 'another program')
})

test('of two services that start at once on a new folder, one is ready and one fails', async (t) => {
  const dataDir = join(createFolder(t), 'postgres')

  const services = [
    startService(t, { dataDir, port: await findFreePort() }),
    startService(t, { dataDir, port: await findFreePort() }),
  ] as const
  await Promise.any(services.map((service) => service.until(({ state }) => state === 'failed')))

  const [loser, winner] = services[0].output.some(({ state }) => state === 'failed')
    ? services
    : [services[1], services[0]]
  t.equal(await loser.waitForEnd(), 3)
  t.match(loser.output.at(-1), { code: 'embedded_data_dir_in_use' })
  await winner.until(isReady)
  t.equal(await winner.stop(), 0)
})

test('a server that is killed while its service is running is restarted', async (t) => {
  const { service, dataDir } = await template.startCopy(t)
  const oldPid = readServerPid(dataDir) ?? 0

  process.kill(oldPid, 'SIGKILL')

  await until('the server answers again', () =>
    query(service.url, 'select 1').then(
      () => true,
      () => false,
    ),
  )
  t.not(readServerPid(dataDir), oldPid)
  t.equal(await service.stop(), 0)
  t.equal(readServerPid(dataDir), undefined)
})

test('a server that does not shut down in time is shut down immediately', async (t) => {
  const { service, dataDir } = await template.startCopy(t, { stopMs: 100 })
  const serverPid = readServerPid(dataDir) ?? 0
  await suspendBackend(t, service.url)

  t.equal(await service.stop(), 0)

  t.notOk(isAlive(serverPid))
})

test('a service that calls process.exit stops its server', async (t) => {
  const { service, dataDir } = await template.startCopy(t)
  const serverPid = readServerPid(dataDir) ?? 0

  process.kill(service.pid, 'SIGUSR2')

  t.equal(await service.waitForEnd(), 7)
  await until('the server ends', () => !isAlive(serverPid))
  t.equal(readServerPid(dataDir), undefined, 'it was shut down cleanly')
})

test('a server log that has grown too large is emptied at the next start', async (t) => {
  const { folder, dataDir } = template.copy(t)
  const logFile = join(folder, 'postgres.log')
  const old = 'old line\n'.repeat(200_000)
  writeFileSync(logFile, old)

  const service = startService(t, { dataDir, port: await findFreePort() })
  await service.until(isReady)

  const log = readFileSync(logFile, 'utf8')
  t.notOk(log.includes('old line'))
  t.match(log, 'database system is ready to accept connections')
})

test('a server that rejects the first connection is stopped again', async (t) => {
  const { dataDir } = template.copy(t)
  writeFileSync(join(dataDir, 'pg_hba.conf'), 'host all all 127.0.0.1/32 reject\n')

  const opened = openEmbeddedServer({
    dataDir,
    port: await findFreePort(),
    database: 'commandbus',
    secrets: { add() {} },
    stopMs: 5000,
    log: silent,
    signal: new AbortController().signal,
  })

  await t.rejects(opened, { code: 'embedded_start_failed', message: /pg_hba\.conf rejects/ })
  t.equal(readServerPid(dataDir), undefined)
})

test('a folder of another major version is an error and stays unchanged', async (t) => {
  const dataDir = join(createFolder(t), 'postgres')
  mkdirSync(join(dataDir, 'base'), { recursive: true })
  writeFileSync(join(dataDir, 'PG_VERSION'), '17\n')
  const before = list(dataDir)

  const service = startService(t, { dataDir, port: await findFreePort() })

  t.equal(await service.waitForEnd(), 3)
  t.match(service.output.at(-1), { code: 'embedded_data_dir_other_version' })
  t.strictSame(list(dataDir), before)
})

test('a folder with files that are not PostgreSQL’s is an error and stays unchanged', async (t) => {
  const dataDir = join(createFolder(t), 'postgres')
  mkdirSync(dataDir)
  writeFileSync(join(dataDir, 'thesis.txt'), 'the only copy')

  const service = startService(t, { dataDir, port: await findFreePort() })

  t.equal(await service.waitForEnd(), 3)
  t.match(service.output.at(-1), { code: 'embedded_data_dir_foreign' })
  t.strictSame(readdirSync(dataDir), ['thesis.txt'])
})

test('what a service leaves that is killed while it creates its folder is removed by the next', async (t) => {
  const folder = createFolder(t)
  const options = { dataDir: join(folder, 'postgres'), port: await findFreePort() }
  const killed = startService(t, options)
  await until('initdb starts', () => findIncomplete(folder).length === 1)
  process.kill(-killed.pid, 'SIGKILL')
  t.equal(await killed.waitForEnd(), 'SIGKILL')
  t.equal(findIncomplete(folder).length, 1)

  const next = startService(t, options)
  await next.until(isReady)

  t.strictSame(findIncomplete(folder), [])
})

test('stopping a service while it creates its folder leaves nothing behind', async (t) => {
  const folder = createFolder(t)
  const service = startService(t, {
    dataDir: join(folder, 'postgres'),
    port: await findFreePort(),
  })
  await until('initdb starts', () => findIncomplete(folder).length === 1)

  t.equal(await service.stop(), 0)

  t.strictSame(readdirSync(folder), [])
})

test('a server that cannot start is reported with its last lines of output', async (t) => {
  const { dataDir } = template.copy(t)
  writeFileSync(join(dataDir, 'postgresql.auto.conf'), 'no_such_setting = 1\n')

  const service = startService(t, { dataDir, port: await findFreePort() })

  t.equal(await service.waitForEnd(), 3)
  t.match(service.output.at(-1), { code: 'embedded_start_failed' })
  t.match(service.output.at(-1)?.message, 'no_such_setting')
})

test('a test process that is killed leaves no service, no server and no folder', async (t) => {
  const script = join(import.meta.dirname, 'fixtures', 'killed-test.ts')
  const killed = spawn(process.execPath, ['--import', 'tsx', script, template.dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  })
  t.teardown(() => killed.kill('SIGKILL'))
  const firstLine = once(createInterface(killed.stdout), 'line')
  const [line] = await settled('the service starts', firstLine)
  const { folder, servicePid, serverPid } = JSON.parse(line)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  t.ok(isAlive(servicePid) && isAlive(serverPid))

  killed.kill('SIGKILL')

  await until('the service ends', () => !isAlive(servicePid))
  await until('the server ends', () => !isAlive(serverPid))
  await until('the folder is removed', () => !existsSync(folder))
})

function findIncomplete(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.includes('.new-'))
}

function list(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return files.map((name) => {
    const { uid, mode, mtimeMs, size } = statSync(join(folder, name))
    return [name, uid, mode, mtimeMs, size].join(' ')
  })
}
