import { createServer } from 'node:http'
import { test } from 'tap'
import { findFreePort } from '../support/port.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { collect, createProject, exitOf } from './project.ts'

test('npm run dev ends with the exit code of a service whose port another one has', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'migrated' })
  const port = await findFreePort()
  const other = createServer((_, response) => response.end('{"ready":true}'))
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
  t.teardown(() => other.close())
  const project = createProject(t, { HOST: '127.0.0.1', PORT: String(port), DATABASE_URL: url })

  const dev = project.start('dev.js')
  const output = collect(dev)

  t.equal(await exitOf(dev), 2, output())
  t.match(output(), /address_not_available/)
  t.notMatch(output(), /watching|at .*\.js:\d+/)
})
