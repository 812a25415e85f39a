import { cpSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createReport, type Report } from '../../../dev/loop/report.ts'
import { createRunner, type Runner } from '../../../dev/loop/run.ts'
import { ensureRecorder } from '../../../src/baseline/recorder.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'

/** What the terminal of `npm run dev` shows while files are saved in a copy of the migrations. */
export interface Terminal {
  readonly migrationsDir: string
  readonly runner: Runner
  readonly report: Report
  /** Returns what was shown since the last call, each line at 09:05:07. */
  takeShown(): string
}

export interface TerminalOptions {
  readonly url: string
  readonly lockTimeoutMs?: number
}

/** Copies the migrations, and creates what runs on each save in the copy. */
export function createTerminal(t: Test, { url, lockTimeoutMs = 2000 }: TerminalOptions): Terminal {
  const migrationsDir = join(createFolder(t), 'migrations')
  cpSync(join(projectDir, 'migrations'), migrationsDir, { recursive: true })
  let shown = ''
  const report = createReport({
    ...{ folder: 'migrations', color: false, now: () => new Date(2026, 10, 26, 9, 5, 7) },
    write: (text) => {
      shown += text
    },
  })
  const runner = createRunner({
    ...{ readUrl: () => url, databaseName: new URL(url).pathname.slice(1), lockTimeoutMs },
    ...{ migrationsDir, note: report.note, warn: report.warned },
    settings: { placeholders: { ':E2E_SCHEMA': 'on' } },
  })
  t.teardown(runner.close)
  return {
    ...{ migrationsDir, runner, report },
    takeShown() {
      const taken = shown
      shown = ''
      return taken
    },
  }
}

/** Creates a migrated database whose schema is recorded, as a start leaves it. */
export async function createRecordedDatabase(t: Test): Promise<TestDatabase> {
  const database = await createTestDatabase(t, { from: 'migrated' })
  await ensureRecorder(database.pool)
  await database.pool.query('select provisioning.record_schema()')
  return database
}
