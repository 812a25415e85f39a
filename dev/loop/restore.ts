import { replacePlaceholders } from '../../src/migrations/tool/location.ts'
import type { Queryable } from '../../src/postgres/client.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
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
  restore(client: Queryable, prepared: Prepared): Promise<Failure | undefined>
  /** Tells the restorer that everything included was applied. */
  applied(prepared: Prepared): void
}

/** Creates a restorer. It knows what was applied since it exists, and what the tool has kept from before. */
export function createRestorer({
  placeholders,
  open,
}: {
  readonly placeholders: Readonly<Record<string, string>>
  /** Opens a session as the tool does. */
  readonly open: () => Promise<SessionClient>
}): Restorer {
  let applied: Set<string> | undefined
  /** The committed texts of each fixture, in the order in which they were seen. */
  const seen = new Map<string, readonly string[]>()

  /** Whether an older text is the committed one again: its migration was uncommitted, maybe between two saves. */
  function isBack(path: string, text: string): boolean {
    const texts = seen.get(path) ?? []
    const at = texts.indexOf(text)
    seen.set(path, at === -1 ? [...texts, text] : texts.slice(0, at + 1))
    return at !== -1 && at < texts.length - 1
  }

  async function restoreOne(session: Queryable, path: string, text: string) {
    try {
      await session.query(replacePlaceholders(text, placeholders))
      return undefined
    } catch (error) {
      if (sqlstateOf(error) === undefined) throw error
      const { message, hint } = error as { message: string; hint?: string }
      return {
        message: `fixtures/${path} is as committed again, but could not be applied: ${message}`,
        code: sqlstateOf(error),
        hint,
      }
    }
  }

  return {
    async restore(client, { included, committed }) {
      applied ??= await readApplied(client)
      const gone = [...applied].filter((path) => !included.has(path))
      const back = [...committed].filter((one) => isBack(...one)).map(([path]) => path)
      const isGone = (path: string) =>
        gone.includes(path) || (back.includes(path) && !included.has(path))
      const paths = [...committed.keys()].filter(isGone)
      const session = paths.length > 0 ? await open() : undefined
      try {
        for (const path of paths) {
          const text = committed.get(path) ?? ''
          const failure = session && (await restoreOne(session, path, text))
          if (failure !== undefined) return failure
          applied.delete(path)
        }
      } finally {
        await session?.end()
      }
      for (const path of gone) applied.delete(path)
      return undefined
    },
    applied({ included }) {
      for (const path of included) applied?.add(path)
    },
  }
}

/** What `current.sql` included when it was applied last, by another run of the loop. */
async function readApplied(client: Queryable): Promise<Set<string>> {
  try {
    const { rows } = await client.query<{ content: string }>(
      'select content from graphile_migrate.current',
    )
    return new Set(rows.flatMap(({ content }) => listIncluded(content).map(([path]) => path)))
  } catch (error) {
    if (sqlstateOf(error) === SQLSTATE.undefinedTable) return new Set()
    throw error
  }
}
