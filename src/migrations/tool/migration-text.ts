import { type Inspected, type Inspection, inspect } from './inspection.ts'
import {
  type Batch,
  createScripts,
  type LargeFile,
  locateOffset,
  locatePosition,
  locateStatement,
  planLargeFile,
} from './large-file.ts'
import { type LoadedBody, type Location, locate, toOffset } from './location.ts'
import type { RefusalOptions } from './refusal.ts'
import { Script } from './script.ts'
import { findStatement } from './statements.ts'

/** The text of a migration as it is sent to PostgreSQL, whether it is in memory or too large for that. */
export interface MigrationText extends Inspection {
  readonly refusedAt: Location | undefined
  /** The parts that are sent. Each has to be done before the next one is asked for. */
  scripts(): AsyncGenerator<Script, void>
  /**
   * Finds the line of a failure: by PostgreSQL's position in the part that was sent last, or else the first
   * statement that did not complete.
   */
  locateFailure(failure: Failure, completedStatements: number): Promise<Location | undefined>
}

interface Failure {
  readonly code?: string | undefined
  readonly position?: string | undefined
}

export interface LoadedText {
  /** With its placeholders replaced. */
  readonly sent: string
  /** Before they were; asked for only where something is wrong. */
  readonly body: () => LoadedBody | undefined
  readonly placeholders: Readonly<Record<string, string>>
  /** Texts that were inspected before. */
  readonly inspected?: readonly Inspected[]
}

/** The text of a migration that is in memory. */
export function openLoadedText(
  { sent, body, placeholders, inspected }: LoadedText,
  options: RefusalOptions,
): MigrationText {
  const inspection = inspect(sent, options, inspected)
  const { refusal } = inspection
  const locateSent = (offset: number) => {
    const loaded = body()
    return loaded && locate(loaded, placeholders, offset)
  }
  return {
    ...inspection,
    refusedAt: refusal && locateSent(refusal.offset),
    async *scripts() {
      yield new Script(sent)
    },
    async locateFailure({ code, position }, completedStatements) {
      if (position !== undefined) return locateSent(toOffset(sent, Number(position)))
      // Without a SQLSTATE the error is not PostgreSQL's, and belongs to no statement.
      if (code === undefined) return undefined
      const start = findStatement(sent, completedStatements, options)
      return start === undefined ? undefined : locateSent(start)
    },
  }
}

/** The text of a migration that is read from its file each time. */
export async function openLargeText(
  file: LargeFile,
  options: RefusalOptions,
): Promise<MigrationText> {
  const { refusal, batches, mayLeaveUnseen: leavesUnseen } = await planLargeFile(file, options)
  let current: Batch | undefined
  return {
    refusal,
    refusedAt: refusal && (await locateOffset(file, refusal.offset)),
    mayLeaveUnseen: leavesUnseen,
    async *scripts() {
      for await (const { script, batch } of createScripts(file, batches)) {
        current = batch
        yield script
      }
    },
    async locateFailure({ code, position }, completedStatements) {
      if (current !== undefined && position !== undefined) {
        return locatePosition(file, current, Number(position))
      }
      if (code === undefined) return undefined
      return locateStatement(file, completedStatements, options)
    },
  }
}
