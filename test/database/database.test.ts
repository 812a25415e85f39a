import { join } from 'node:path'
import { test } from 'tap'
import { loadConfig } from '../../src/config/config.ts'
import { openDatabase } from '../../src/database/database.ts'
import { findFreePort } from '../support/port.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { createFolder, readServerPid } from './embedded/fixtures/embedded-process.ts'

const deps = {
  log: { debug() {}, info() {}, warn() {}, error() {} },
  signal: new AbortController().signal,
}

test('a given database is described by its URL', async (t) => {
  const { url, name } = await createTestDatabase(t, { from: 'empty' })

  const database = await openDatabase(loadConfig({ DATABASE_URL: url }), deps)
  t.teardown(() => database.close())

  t.match(database, {
    kind: 'given',
    url,
    name,
    host: new URL(url).hostname,
    port: Number(new URL(url).port),
    shadowUrl: undefined,
    rootUrl: undefined,
  })
  t.equal((await database.pool.query('select current_database() as name')).rows[0].name, name)
})

test('without DATABASE_URL, the embedded server is started, and stopped by close', async (t) => {
  const port = await findFreePort()
  const dataDir = join(createFolder(t), 'postgres')
  const settings = { EMBEDDED_DATA_DIR: dataDir, EMBEDDED_PORT: String(port) }

  const database = await openDatabase(loadConfig(settings), deps)
  const { rows } = await database.pool.query('select current_database() as name')
  await database.close()

  t.strictSame(rows, [{ name: 'commandbus' }])
  t.match(database, { kind: 'embedded', host: '127.0.0.1', port, name: 'commandbus' })
  t.not(new URL(database.shadowUrl ?? '').pathname, '/commandbus')
  t.equal(new URL(database.rootUrl ?? '').pathname, '/postgres')
  t.equal(readServerPid(dataDir), undefined)
})
