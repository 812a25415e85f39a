import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import t, { test } from 'tap'
import { waitForDatabase } from '../../../src/postgres/wait.ts'
import { findFreePort } from '../../support/port.ts'
import {
  createFolder,
  isAlive,
  isReady,
  query,
  readServerPid,
  startService,
  waitUntil,
} from './fixtures/embedded-process.ts'

// Made by the first test, so that the others need not wait for initdb.
const template = join(createFolder(t), 'postgres')

test('the first start fills an empty folder, a stop leaves it, the second start finds it', async (t) => {
  mkdirSync(template)
  const options = { dataDir: template, port: await findFreePort() }
  const first = startService(t, options)
  await first.until(isReady)
  await query(first.url, 'create table public.marks as select 1 as mark')
  const serverPid = readServerPid(template) ?? 0

  t.equal(await first.stop(), 0)
  t.notOk(isAlive(serverPid))
  t.equal(readServerPid(template), undefined)

  const second = startService(t, options)
  await second.until(isReady)
  const { rows } = await query(second.url, 'select mark from public.marks')
  t.strictSame(rows, [{ mark: 1 }])
  t.equal(await second.stop(), 0)
})

test('while the service lives', async (t) => {
  const { service, folder, dataDir, port } = await startCopy(t)

  await t.test(
    'the server is reached from this machine only, and with the password only',
    async (t) => {
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
        await t.rejects(
          query(`postgres://postgres:postgres@${address}:${port}/postgres`, 'select 1'),
          {
            code: 'ECONNREFUSED',
          },
        )
      }
      await t.rejects(query(`postgres://postgres:guess@127.0.0.1:${port}/postgres`, 'select 1'), {
        code: '28P01',
      })
    },
  )

  await t.test('a wrong password, or none, is an error at once and not shown', async (t) => {
    // Neither of these may help: PostgreSQL's own variables have no effect.
    process.env.PGPASSWORD = 'postgres'
    t.teardown(() => delete process.env.PGPASSWORD)

    for (const login of ['postgres:guess-the-word', 'postgres']) {
      const refused = await waitForDatabase(`postgres://${login}@127.0.0.1:${port}/postgres`, {
        waitMs: 30_000,
        purpose: 'wait test',
        log: { debug() {}, info() {}, warn() {}, error() {} },
        signal: new AbortController().signal,
      }).catch((error) => error)
      t.match(refused, { code: 'database_password_wrong', exitCode: 3 })
      t.notMatch(JSON.stringify([refused.message, refused.stack, refused]), 'guess-the-word')
    }
  })

  await t.test('text is compared by rules that no update of the system changes', async (t) => {
    const { rows } = await query(
      service.url,
      `select pg_encoding_to_char(encoding) as encoding, datlocprovider as provider, datlocale as locale
       from pg_catalog.pg_database where datname = current_database()`,
    )

    t.strictSame(rows, [{ encoding: 'UTF8', provider: 'b', locale: 'C.UTF-8' }])
  })

  await t.test(
    'a second service on the same folder is refused and leaves the first alone',
    async (t) => {
      const second = startService(t, { dataDir, port: await findFreePort() })

      t.equal(await second.ended, 3)
      t.match(second.said.at(-1), { state: 'refused', code: 'embedded_data_dir_in_use' })
      t.match(second.said.at(-1)?.message, String(service.pid))
      t.equal((await query(service.url, 'select 1')).rowCount, 1)
    },
  )

  await t.test('a second service on the same port is refused and makes no folder', async (t) => {
    const second = startService(t, { dataDir: join(folder, 'other'), port })

    t.equal(await second.ended, 3)
    t.match(second.said.at(-1), { state: 'refused', code: 'embedded_port_in_use' })
    t.match(second.said.at(-1)?.message, String(service.pid))
    t.notOk(readdirSync(folder).includes('other'))
  })

  await t.test(
    'a signal to the whole process group ends the server through its service',
    async (t) => {
      process.kill(-service.pid, 'SIGINT')

      t.equal(await service.ended, 0)
      t.equal(service.said.at(-1)?.state, 'closed')
      t.notOk(service.said.some(({ message }) => message?.includes('ended by itself')))
      t.equal(readServerPid(dataDir), undefined)
    },
  )
})

test('a port that another program has is refused', async (t) => {
  const port = await findFreePort()
  const other = createServer((socket) => socket.end()).listen(port, '127.0.0.1')
  t.teardown(() => other.close())

  const service = startService(t, { dataDir: join(createFolder(t), 'postgres'), port })

  t.equal(await service.ended, 3)
  t.match(service.said.at(-1), { state: 'refused', code: 'embedded_port_in_use' })
})

test('of two services that start at once on a new folder one is ready, one refused', async (t) => {
  const dataDir = join(createFolder(t), 'postgres')

  const services = [
    startService(t, { dataDir, port: await findFreePort() }),
    startService(t, { dataDir, port: await findFreePort() }),
  ] as const
  await Promise.any(services.map(({ until }) => until(({ state }) => state === 'refused')))

  const [loser, winner] = services[0].said.some(({ state }) => state === 'refused')
    ? services
    : [services[1], services[0]]
  t.equal(await loser.ended, 3)
  t.match(loser.said.at(-1), { code: 'embedded_data_dir_in_use' })
  await winner.until(isReady)
  t.equal(await winner.stop(), 0)
})

test('a server that outlived its service is stopped and started again by the next', async (t) => {
  const { service, dataDir, port } = await startCopy(t)
  await query(service.url, 'insert into public.marks values (2)')
  const oldPid = readServerPid(dataDir) ?? 0
  process.kill(service.pid, 'SIGKILL')
  await service.ended
  t.ok(isAlive(oldPid))

  const next = startService(t, { dataDir, port })
  await next.until(isReady)

  t.notOk(isAlive(oldPid))
  t.not(readServerPid(dataDir), oldPid)
  t.equal((await query(next.url, 'select from public.marks')).rowCount, 2)
})

test('a folder left by a killed server starts again', async (t) => {
  const { service, dataDir, port } = await startCopy(t)
  await query(service.url, 'insert into public.marks values (2)')
  const oldPid = readServerPid(dataDir) ?? 0
  process.kill(service.pid, 'SIGKILL')
  process.kill(oldPid, 'SIGKILL')
  await waitUntil(() => !isAlive(oldPid))

  const next = startService(t, { dataDir, port })
  await next.until(isReady)

  t.equal((await query(next.url, 'select from public.marks')).rowCount, 2)
})

test('a server that is killed under its service comes back', async (t) => {
  const { service, dataDir } = await startCopy(t)
  const oldPid = readServerPid(dataDir) ?? 0

  process.kill(oldPid, 'SIGKILL')

  await waitUntil(() =>
    query(service.url, 'select 1').then(
      () => true,
      () => false,
    ),
  )
  t.not(readServerPid(dataDir), oldPid)
  t.equal(await service.stop(), 0)
  t.equal(readServerPid(dataDir), undefined)
})

test('a pid that was given to another process meanwhile is not taken for the server', async (t) => {
  const { dataDir } = copyTemplate(t)
  const stranger = spawn('sleep', ['60'])
  t.teardown(() => stranger.kill())
  leaveServerFiles(dataDir, { serverPid: stranger.pid ?? 0, owner: '1/0/0' })
  writeFileSync(join(dataDir, 'postmaster.opts'), 'postgres "-D" "somewhere"\n')

  const service = startService(t, { dataDir, port: await findFreePort() })
  await service.until(isReady)

  t.ok(isAlive(stranger.pid ?? 0))
})

test('a folder of a service in another container is refused while that one lives', async (t) => {
  const { dataDir } = copyTemplate(t)
  leaveServerFiles(dataDir, { serverPid: 1, owner: '1/12345/abc' })
  const life = setInterval(() => {
    utimesSync(join(dataDir, 'postmaster.opts'), new Date(), new Date())
  }, 200)
  t.teardown(() => clearInterval(life))

  const refused = startService(t, { dataDir, port: await findFreePort() })
  t.equal(await refused.ended, 3)
  t.match(refused.said.at(-1), { code: 'embedded_data_dir_in_use' })

  clearInterval(life)
  const started = startService(t, { dataDir, port: await findFreePort() })
  await started.until(isReady)
})

test('a folder of another major version is refused and left untouched', async (t) => {
  const dataDir = join(createFolder(t), 'postgres')
  mkdirSync(join(dataDir, 'base'), { recursive: true })
  writeFileSync(join(dataDir, 'PG_VERSION'), '17\n')
  const before = list(dataDir)

  const service = startService(t, { dataDir, port: await findFreePort() })

  t.equal(await service.ended, 3)
  t.match(service.said.at(-1), { code: 'embedded_data_dir_other_version' })
  t.strictSame(list(dataDir), before)
})

test('a folder with files that are not PostgreSQL’s is refused and left untouched', async (t) => {
  const dataDir = join(createFolder(t), 'postgres')
  mkdirSync(dataDir)
  writeFileSync(join(dataDir, 'thesis.txt'), 'the only copy')

  const service = startService(t, { dataDir, port: await findFreePort() })

  t.equal(await service.ended, 3)
  t.match(service.said.at(-1), { code: 'embedded_data_dir_foreign' })
  t.strictSame(readdirSync(dataDir), ['thesis.txt'])
})

test('a service killed while it makes its folder leaves nothing that lasts', async (t) => {
  const folder = createFolder(t)
  const options = { dataDir: join(folder, 'postgres'), port: await findFreePort() }
  const killed = startService(t, options)
  await waitUntil(() => findHalfMade(folder).length === 1)
  process.kill(-killed.pid, 'SIGKILL')
  t.equal(await killed.ended, 'SIGKILL')
  t.equal(findHalfMade(folder).length, 1)

  const next = startService(t, options)
  await next.until(isReady)

  t.strictSame(findHalfMade(folder), [])
})

test('a stop while the folder is made leaves nothing behind', async (t) => {
  const folder = createFolder(t)
  const service = startService(t, {
    dataDir: join(folder, 'postgres'),
    port: await findFreePort(),
  })
  await waitUntil(() => findHalfMade(folder).length === 1)

  t.equal(await service.stop(), 0)

  t.strictSame(readdirSync(folder), [])
})

test('a server that cannot start says why in its own last words', async (t) => {
  const { dataDir } = copyTemplate(t)
  writeFileSync(join(dataDir, 'postgresql.auto.conf'), 'no_such_setting = 1\n')

  const service = startService(t, { dataDir, port: await findFreePort() })

  t.equal(await service.ended, 3)
  t.match(service.said.at(-1), { code: 'embedded_start_failed' })
  t.match(service.said.at(-1)?.message, 'no_such_setting')
})

type Teardown = Parameters<typeof startService>[0]

/** A copy of the stopped template, with its owner and modes. */
function copyTemplate(t: Teardown): { folder: string; dataDir: string } {
  const folder = createFolder(t)
  execFileSync('cp', ['-a', template, folder])
  return { folder, dataDir: join(folder, 'postgres') }
}

async function startCopy(t: Teardown) {
  const { folder, dataDir } = copyTemplate(t)
  const port = await findFreePort()
  const service = startService(t, { dataDir, port })
  await service.until(isReady)
  return { service, folder, dataDir, port }
}

/** What a server leaves that is killed, or that runs where its processes cannot be seen. */
function leaveServerFiles(
  dataDir: string,
  { serverPid, owner }: { serverPid: number; owner: string },
): void {
  const lines = [serverPid, dataDir, 1, 54329, '', '127.0.0.1', ' 1 1', 'ready', '']
  writeFileSync(join(dataDir, 'postmaster.pid'), lines.join('\n'))
  writeFileSync(join(dataDir, 'postmaster.opts'), `postgres "-c" "service.owner=${owner}"\n`)
}

function findHalfMade(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.includes('.new-'))
}

function list(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return files.map((name) => {
    const { uid, mode, mtimeMs, size } = statSync(join(folder, name))
    return [name, uid, mode, mtimeMs, size].join(' ')
  })
}
