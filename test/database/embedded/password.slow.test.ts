import {
  chmodSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test, test } from 'tap'
import { readPassword, savePassword } from '../../../src/database/embedded/password.ts'
import { findFreePort } from '../../support/port.ts'
import { until } from '../../support/until.ts'
import { createFolder, isReady, query, startService } from './fixtures/embedded-process.ts'
import { createTemplate, fillWithMark } from './fixtures/template.ts'

// A folder from before: its password is the one that everybody knows.
const template = createTemplate(t)

t.before(() => fillWithMark(t, template))

/** Starts a service that chooses the password itself, and returns the URL to connect to it. */
async function start(t: Test, dataDir: string, password: string | null = null) {
  const service = startService(t, { dataDir, port: await findFreePort(), password })
  const { url = '' } = await service.until(isReady)
  return { service, url }
}

test('a folder from before gets a random password that only its owner can read', async (t) => {
  const { dataDir } = template.copy(t)
  const file = `${dataDir}.password`
  rmSync(file)

  const { service, url } = await start(t, dataDir)
  const password = readFileSync(file, 'utf8').trim()

  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(password, /^[\w-]{24}$/)
  t.equal(new URL(url).password, password)
  t.equal((await query(url, 'select from public.marks')).rowCount, 1)
  for (const wrong of ['postgres', 'guess']) {
    const guessed = Object.assign(new URL(url), { password: wrong })
    await t.rejects(query(guessed.href, 'select 1'), { code: '28P01' })
  }
  const without = Object.assign(new URL(url), { password: '' })
  await t.rejects(query(without.href, 'select 1'), /password/)
  t.notMatch(listCommandLines(), password)
  t.notMatch(readFileSync(`${dataDir}.log`, 'utf8'), password)
  t.notMatch(JSON.stringify(service.output.filter((line) => !isReady(line))), password)
  await service.stop()

  t.equal(new URL((await start(t, dataDir)).url).password, password, 'the next start keeps it')
})

test('a given password is used, and stays', async (t) => {
  const { dataDir } = template.copy(t)
  const password = 'it\'s a \\ %40 "password"'

  const first = await start(t, dataDir, password)
  t.equal((await query(first.url, 'select 1')).rowCount, 1)
  await first.service.stop()

  const second = await start(t, dataDir)
  t.equal(decodeURIComponent(new URL(second.url).password), password)
})

test('a folder that was restored from a copy gets the password of the file', async (t) => {
  const { dataDir } = template.copy(t)
  savePassword(dataDir, 'a-later-password')

  const { url } = await start(t, dataDir)

  t.equal(new URL(url).password, 'a-later-password')
  t.equal((await query(url, 'select 1')).rowCount, 1)
})

test('a password file that others could read is not used', async (t) => {
  const dataDir = join(createFolder(t), 'postgres')
  t.equal(readPassword(dataDir), undefined)
  savePassword(dataDir, 'secret-of-ours')
  t.equal(readPassword(dataDir), 'secret-of-ours')

  chmodSync(`${dataDir}.password`, 0o640)

  t.equal(readPassword(dataDir), undefined)
})

test('a password file that is a link is an error', async (t) => {
  const folder = createFolder(t)
  writeFileSync(join(folder, 'elsewhere'), 'x', { mode: 0o600 })
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'postgres.password'))

  t.throws(() => readPassword(join(folder, 'postgres')), { code: 'embedded_data_dir_foreign' })
})

test('a data folder that is removed while its server runs is made again, with its password', async (t) => {
  const { folder, dataDir } = template.copy(t)
  const { service, url } = await start(t, dataDir)

  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true })

  await until('it is noticed', () =>
    service.output.some(({ message }) => message?.startsWith('the data folder was removed')),
  )
  await until('the server answers again', () =>
    query(url, 'select 1').then(
      () => true,
      () => false,
    ),
  )
  t.equal(`${readPassword(dataDir)}`, new URL(url).password)
  t.equal(await service.stop(), 0)
})

/** Of every process on the machine, where the system shows them. */
function listCommandLines(): string {
  const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))
  return pids
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      } catch {
        return ''
      }
    })
    .join('\n')
}
