import type { Client } from 'pg'
import { replacePlaceholders } from '../../src/migrations/tool/location.ts'
import { sqlstateOf } from '../../src/postgres/errors.ts'
import { SQLSTATE } from '../../src/postgres/sqlstate.ts'
import type { Failure } from './failure.ts'
import { listIncluded } from './fixtures.ts'
import type { Prepared } from './prepare.ts'

export interface Restorer {
  /**
   * Runs the committed text of every fixture that was applied from `current.sql` and is not in it any more, for
   * the tool only ever applies. Returns why one failed.
   */
  restore(session: Client, prepared: Prepared): Promise<Failure | undefined>
}

/** Creates a restorer. It knows what was applied since it exists, and what the tool has kept from before. */
export function createRestorer({
  placeholders,
  note,
}: {
  readonly placeholders: Readonly<Record<string, string>>
  readonly note: (text: string) => void
}): Restorer {
  let applied: Set<string> | undefined

  async function restoreOne(session: Client, path: string, text: string) {
    try {
      await session.query(replacePlaceholders(text, placeholders))
      return undefined
    } catch (error) {
      if (sqlstateOf(error) === undefined) throw error
      const { message } = error as Error
      return {
        message: `fixtures/${path} is as committed again, but could not be applied: ${message}`,
      }
    }
  }

  return {
    async restore(session, { included, committed }) {
      applied ??= await readApplied(session)
      const gone = [...applied].filter((path) => !included.has(path))
      for (const path of gone.filter((path) => !committed.has(path))) {
        note(`fixtures/${path} is gone: the database keeps what it made until you drop it`)
        applied.delete(path)
      }
      for (const [path, text] of committed) {
        if (!gone.includes(path)) continue
        const failure = await restoreOne(session, path, text)
        if (failure !== undefined) return failure
        applied.delete(path)
      }
      for (const path of included) applied.add(path)
      return undefined
    },
  }
}

/** What `current.sql` included when it was applied last, by another run of the loop. */
async function readApplied(session: Client): Promise<Set<string>> {
  try {
    const { rows } = await session.query<{ content: string }>(
      'select content from graphile_migrate.current',
    )
    return new Set(rows.flatMap(({ content }) => listIncluded(content).map(([path]) => path)))
  } catch (error) {
    if (sqlstateOf(error) === SQLSTATE.undefinedTable) return new Set()
    throw error
  }
}
