import type { MigrationEvent, OnEvent } from '../../events.ts'
import type { Log } from '../../logger.ts'
import type { CommittedMigration } from '../files/migration.ts'

/** Follows the tool from one migration to the next. */
export interface Progress {
  /** Takes a line of the tool's log: it names each migration's file when the migration starts. */
  readLogLine(text: string): void
  /** The migration that is running; undefined before the first. */
  current(): CommittedMigration | undefined
  /** Logs the last migration as applied. The tool reports starts only. */
  finish(): void
}

export interface ProgressOptions {
  readonly pending: readonly CommittedMigration[]
  readonly log: Log
  readonly onMigration: (detail: string) => void
  readonly onEvent?: OnEvent<MigrationEvent> | undefined
}

/** Creates a progress that writes one log line for each applied migration. */
export function createProgress({ pending, log, onMigration, onEvent }: ProgressOptions): Progress {
  let index = -1
  let startedAt = performance.now()
  const logApplied = () => {
    const migration = pending[index]
    if (migration === undefined) return
    const durationMs = Math.round(performance.now() - startedAt)
    const progress = `${index + 1} of ${pending.length}`
    log.info({ migration: migration.filename, progress, durationMs }, 'migration applied')
    onEvent?.({ kind: 'migration_applied', filename: migration.filename, durationMs })
  }
  return {
    readLogLine(text) {
      const next = pending[index + 1]
      if (next === undefined || !text.includes(`'${next.filename}'`)) return
      logApplied()
      index++
      startedAt = performance.now()
      onMigration(`${next.filename}, ${index + 1} of ${pending.length}`)
    },
    current: () => pending[index],
    finish: logApplied,
  }
}
