import pino from 'pino'
import { test } from 'tap'
import { loadConfig } from '../../src/config/config.ts'
import { createService } from '../../src/service.ts'
import { becomes } from '../support/becomes.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('two services in one process share nothing', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'empty' })
  const MIGRATIONS_DIR = createMigrationsFolder(t, ['create schema one;'])
  const start = (DATABASE_URL: string) => {
    const lines: string[] = []
    const service = createService(
      loadConfig({ DATABASE_URL, MIGRATIONS_DIR, PORT: '0' }),
      pino({}, { write: (line) => void lines.push(line) }),
    )
    const exitCode = service.run()
    const readReason = async () => {
      const address = /listening at (http:[^"]+)/.exec(lines.join(''))?.[1]
      if (address === undefined) return undefined
      const response = await fetch(`${address}/readyz`)
      const { status, reason } = (await response.json()) as Record<string, string>
      return reason ?? status
    }
    return { service, exitCode, readReason }
  }
  const migrated = start(url)
  const waiting = start('postgres://u@127.0.0.1:1/d')

  await becomes(t, waiting.readReason, 'waiting_for_database')
  await becomes(t, migrated.readReason, 'ready')
  migrated.service.stop()
  t.equal(await migrated.exitCode, 0)
  t.equal(await waiting.readReason(), 'waiting_for_database', 'the other one goes on')
  waiting.service.stop()
  t.equal(await waiting.exitCode, 0)
})

test('a failure ends the service with the exit code of its error', async (t) => {
  const MIGRATIONS_DIR = createMigrationsFolder(t, ['select 1;'])
  const service = createService(
    loadConfig({
      DATABASE_URL: 'postgres://u@127.0.0.1:1/d',
      DATABASE_WAIT_SECONDS: '0',
      MIGRATIONS_DIR,
      PORT: '0',
    }),
    pino({ level: 'silent' }),
  )

  t.equal(await service.run(), 3)
})
