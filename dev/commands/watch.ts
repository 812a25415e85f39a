import { createMask } from '../../src/config/redact.ts'
import { EXIT } from '../../src/errors/codes.ts'
import type { Failure } from '../loop/failure.ts'
import { nameFolder } from '../loop/format.ts'
import { createLoop } from '../loop/loop.ts'
import { createReport, type Report } from '../loop/report.ts'
import { createRunner } from '../loop/run.ts'
import { watchMigrations } from '../loop/watcher.ts'
import { type CommandRun, createCommandSettings } from '../tool.ts'

export interface WatchRun extends CommandRun {
  /** See `RunOptions`. */
  readonly noteHistory?: (() => Promise<void>) | undefined
}

/** Applies the committed migrations, then the uncommitted one whenever one of its files is saved. */
export async function watch({ noteHistory, ...run }: WatchRun): Promise<number> {
  const { config, database, signal } = run
  const { migrationsDir, lockTimeoutMs } = config
  const mask = createMask(config)
  const folder = nameFolder(migrationsDir)
  const report = createReport({
    write: (text) => process.stdout.write(mask(text)),
    folder,
    color: process.stdout.isTTY && process.stdout.hasColors(),
  })
  const settings = await createCommandSettings({ ...run, migrationsDir })
  const runner = createRunner({
    ...{ readUrl: () => database.url, databaseName: database.name },
    ...{ migrationsDir, settings, lockTimeoutMs, noteHistory, note: report.note, mask },
    warn: report.warned,
  })
  let failed: Failure | undefined
  const noted: Report = {
    ...report,
    failed(failure) {
      failed = failure
      report.failed(failure)
    },
  }
  const loop = createLoop({ migrationsDir, apply: runner.run, report: noted, signal })
  const watcher = await watchMigrations(migrationsDir, loop.saved)
  try {
    await loop.start()
    report.note(
      // Only of the committed files, a failure has no place.
      failed !== undefined && failed.place === undefined
        ? `watching ${folder}, but its committed migrations could not be applied: correct what is wrong, and start this again`
        : `watching ${folder}: what you save is applied`,
    )
    await loop.ended
    return EXIT.stopped
  } finally {
    await Promise.all([watcher.close(), runner.close()])
  }
}
