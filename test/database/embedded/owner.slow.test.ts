import { spawn } from 'node:child_process'
import { statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { test } from 'tap'
import { findPidNamespace } from '../../../src/database/embedded/process.ts'
import { findFreePort } from '../../support/port.ts'
import { until } from '../../support/until.ts'
import {
  isAlive,
  isReady,
  query,
  readServerPid,
  startService,
  suspendBackend,
} from './fixtures/embedded-process.ts'
import { createTemplate, fillWithMark } from './fixtures/template.ts'

const template = createTemplate(t)

t.before(() => fillWithMark(t, template))

test('a server that outlived its service is stopped and restarted by the next service', async (t) => {
  const { service, dataDir, port } = await template.startCopy(t)
  await query(service.url, 'insert into public.marks values (2)')
  const oldPid = readServerPid(dataDir) ?? 0
  process.kill(service.pid, 'SIGKILL')
  await service.waitForEnd()
  t.ok(isAlive(oldPid))

  const next = startService(t, { dataDir, port })
  await next.until(isReady)

  t.notOk(isAlive(oldPid))
  t.not(readServerPid(dataDir), oldPid)
  t.equal((await query(next.url, 'select from public.marks')).rowCount, 2)
})

test('a server that outlived its service and does not shut down is shut down immediately', async (t) => {
  const { service, dataDir, port } = await template.startCopy(t)
  const serverPid = readServerPid(dataDir) ?? 0
  await suspendBackend(t, service.url)
  process.kill(service.pid, 'SIGKILL')
  await service.waitForEnd()

  const next = startService(t, { dataDir, port })
  await next.until(isReady)

  t.notOk(isAlive(serverPid))
})

test('an owner pid that now belongs to another program is not taken for the owner', async (t) => {
  const { service, dataDir, port } = await template.startCopy(t)
  const serverPid = readServerPid(dataDir) ?? 0
  process.kill(service.pid, 'SIGKILL')
  await service.waitForEnd()
  const other = spawn('sleep', ['60'])
  t.teardown(() => other.kill())
  const owner = `${other.pid}/${findPidNamespace()}/ended`
  writeFileSync(join(dataDir, 'postmaster.opts'), `postgres "-c" "service.owner=${owner}"\n`)

  const next = startService(t, { dataDir, port })
  await next.until(isReady)

  t.notOk(isAlive(serverPid))
  t.ok(isAlive(other.pid ?? 0))
})

test('a folder left by a killed server starts again', async (t) => {
  const { service, dataDir, port } = await template.startCopy(t)
  await query(service.url, 'insert into public.marks values (2)')
  const oldPid = readServerPid(dataDir) ?? 0
  process.kill(service.pid, 'SIGKILL')
  process.kill(oldPid, 'SIGKILL')
  await until('the server ends', () => !isAlive(oldPid))

  const next = startService(t, { dataDir, port })
  await next.until(isReady)

  t.equal((await query(next.url, 'select from public.marks')).rowCount, 2)
})

test('a pid that now belongs to another program is not taken for the server', async (t) => {
  const { dataDir } = template.copy(t)
  const other = spawn('sleep', ['60'])
  t.teardown(() => other.kill())
  leaveServerFiles(dataDir, { serverPid: other.pid ?? 0, owner: '1/0/0' })
  writeFileSync(join(dataDir, 'postmaster.opts'), 'postgres "-D" "somewhere"\n')

  const service = startService(t, { dataDir, port: await findFreePort() })
  await service.until(isReady)

  t.ok(isAlive(other.pid ?? 0))
})

test('a pid that now belongs to the server of another folder is not taken for the server', async (t) => {
  const other = await template.startCopy(t)
  const otherPid = readServerPid(other.dataDir) ?? 0
  const { dataDir } = template.copy(t)
  const deadOwner = `1/${findPidNamespace()}/ended`
  leaveServerFiles(dataDir, { serverPid: otherPid, owner: deadOwner })

  const service = startService(t, { dataDir, port: await findFreePort() })
  await service.until(isReady)

  t.equal(readServerPid(other.dataDir), otherPid, 'the other server keeps running')
  t.equal((await query(other.service.url, 'select 1')).rowCount, 1)
})

test('a folder that a service in another container owns is refused while that service lives', async (t) => {
  const { dataDir } = template.copy(t)
  leaveServerFiles(dataDir, { serverPid: 1, owner: '1/12345/abc' })
  const heartbeat = setInterval(() => {
    utimesSync(join(dataDir, 'postmaster.opts'), new Date(), new Date())
  }, 200)
  t.teardown(() => clearInterval(heartbeat))

  const refused = startService(t, { dataDir, port: await findFreePort() })
  t.equal(await refused.waitForEnd(), 3)
  t.match(refused.output.at(-1), { code: 'embedded_data_dir_in_use' })

  clearInterval(heartbeat)
  const started = startService(t, { dataDir, port: await findFreePort() })
  await started.until(isReady)
})

test('a running service shows its heartbeat to other containers', async (t) => {
  const { dataDir } = await template.startCopy(t)
  const optionsFile = join(dataDir, 'postmaster.opts')
  const before = statSync(optionsFile).mtimeMs

  await until('postmaster.opts is touched', () => statSync(optionsFile).mtimeMs > before)
})

/** What a server leaves that was killed, or that runs where its processes cannot be seen. */
function leaveServerFiles(
  dataDir: string,
  { serverPid, owner }: { serverPid: number; owner: string },
): void {
  const lines = [serverPid, dataDir, 1, 54329, '', '127.0.0.1', ' 1 1', 'ready', '']
  writeFileSync(join(dataDir, 'postmaster.pid'), lines.join('\n'))
  writeFileSync(join(dataDir, 'postmaster.opts'), `postgres "-c" "service.owner=${owner}"\n`)
}
