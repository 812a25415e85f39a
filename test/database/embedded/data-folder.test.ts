import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createDataFolder } from '../../../src/database/embedded/data-folder.ts'
import { prepareHome } from '../../../src/database/embedded/home.ts'
import { createFolder } from './fixtures/embedded-process.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }

test('incomplete folders are removed, except those that another service is creating', async (t) => {
  const folder = createFolder(t)
  const live = spawn('sleep', ['60'])
  t.teardown(() => live.kill())
  const ended = spawn('true')
  await once(ended, 'exit')
  const nameOf = (pid: number | undefined) => `postgres.new-${pid}-abcdef`
  // In a container, a service that was killed had the same pid as this one.
  for (const pid of [live.pid, ended.pid, process.pid]) mkdirSync(join(folder, nameOf(pid)))

  const home = prepareHome(join(folder, 'postgres'), log)
  await createDataFolder(home, {
    password: 'postgres',
    log,
    signal: new AbortController().signal,
  })

  t.strictSame(readdirSync(folder).sort(), ['postgres', nameOf(live.pid)])
  t.ok(readdirSync(join(folder, 'postgres')).includes('PG_VERSION'))
})
