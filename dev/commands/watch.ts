import { relative } from 'node:path'
import { createMask } from '../../src/config/redact.ts'
import { EXIT } from '../../src/errors/codes.ts'
import { openClient } from '../../src/postgres/client.ts'
import { isConnectionLost } from '../../src/postgres/errors.ts'
import { type ApplyOptions, applyCurrent, NotNowError } from '../loop/apply.ts'
import { type Applied, createLoop } from '../loop/loop.ts'
import { recordChanges } from '../loop/recorded-changes.ts'
import { createReport } from '../loop/report.ts'
import { watchMigrations } from '../loop/watcher.ts'
import { type CommandRun, createCommandSettings } from '../tool.ts'

/** Applies the committed migrations, then the uncommitted one whenever one of its files is saved. */
export async function watch(run: CommandRun): Promise<number> {
  const { config, database, signal } = run
  const { migrationsDir, lockTimeoutMs } = config
  const mask = createMask(config)
  const folder = relative('', migrationsDir)
  const report = createReport({
    write: (text) => process.stdout.write(mask(text)),
    folder,
    color: process.stdout.isTTY && process.stdout.hasColors(),
  })
  const settings = await createCommandSettings({ ...run, migrationsDir })
  const apply = () =>
    applyAndRecord({
      url: database.url,
      databaseName: database.name,
      ...{ migrationsDir, settings, lockTimeoutMs },
      onNotice: (text) => report.note(`notice: ${text}`),
    })
  const loop = createLoop({ migrationsDir, apply, report, signal })
  const watcher = await watchMigrations(migrationsDir, loop.saved)
  try {
    await loop.start()
    report.note(`watching ${folder}: what you save is applied`)
    await loop.ended
    return EXIT.stopped
  } finally {
    await watcher.close()
  }
}

async function applyAndRecord(options: ApplyOptions): Promise<Applied> {
  try {
    const client = await openClient(options.url, 'development')
    const record = recordChanges(client, async () => {
      const failure = await applyCurrent(options)
      return { failure, endedAt: Date.now() }
    })
    const { result, changes } = await record.finally(() => client.end())
    return { ...result, changes }
  } catch (error) {
    if (!isConnectionLost(error)) throw error
    throw new NotNowError((error as Error).message, { cause: error })
  }
}
