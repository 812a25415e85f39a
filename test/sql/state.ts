import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describeFailure, findRefusal } from '../../dev/loop/failure.ts'
import { compile, readCommittedFixtures, readFixtures } from '../../dev/loop/fixtures.ts'
import { updateIncludeList } from '../../dev/loop/include-list.ts'
import { createReport } from '../../dev/loop/report.ts'
import { openToolSession } from '../../dev/loop/tool-session.ts'
import { replacePlaceholders } from '../../src/migrations/tool/location.ts'
import { sqlstateOf } from '../../src/postgres/errors.ts'

type Placeholders = Readonly<Record<string, string>>

/** What the files say that the schema is: the committed migrations, then the uncommitted one. */
export interface State {
  readonly committed: readonly string[]
  /** With every fixture that differs from what is committed, as `npm run dev` lists them. */
  readonly current: string
}

/** A migration is not SQL that PostgreSQL takes; of the uncommitted one, the message shows the line with a caret. */
export class StateError extends Error {}

export function readState(migrationsDir: string): State {
  const folder = join(migrationsDir, 'committed')
  const files = readdirSync(folder).filter((file) => file.endsWith('.sql'))
  return {
    committed: files.sort().map((file) => readFileSync(join(folder, file), 'utf8')),
    current: readCurrent(migrationsDir),
  }
}

function readCurrent(migrationsDir: string): string {
  const fixtures = readFixtures(migrationsDir)
  const parts = join(migrationsDir, 'current')
  if (statSync(parts, { throwIfNoEntry: false })?.isDirectory()) {
    const files = readdirSync(parts).filter((file) => file.endsWith('.sql'))
    const texts = files
      .sort()
      .map((file) => `--! split: ${file}\n${readFileSync(join(parts, file), 'utf8')}\n`)
    return compile(texts.join(''), fixtures)
  }
  const text = readFileSync(join(migrationsDir, 'current.sql'), 'utf8')
  const listed = updateIncludeList(text, fixtures, readCommittedFixtures(migrationsDir))
  return compile(listed, fixtures)
}

/** Names the state by its text: the same text makes the same schema. */
export function nameState(texts: readonly string[], placeholders: Placeholders): string {
  const hash = createHash('sha256').update(JSON.stringify([texts, placeholders]))
  return hash.digest('hex').slice(0, 12)
}

/** Runs the committed migrations, each in a transaction; rejects with a StateError. */
export async function runCommitted(
  url: string,
  texts: readonly string[],
  placeholders: Placeholders,
): Promise<void> {
  for (const text of texts) {
    const session = await openToolSession({ url, lockTimeoutMs: 0, onNotice: () => {} })
    try {
      await session.query(replacePlaceholders(text, placeholders))
    } catch (error) {
      if (sqlstateOf(error) === undefined) throw error
      throw new StateError(`a committed migration fails: ${(error as Error).message}`)
    } finally {
      await session.end().catch(() => {})
    }
  }
}

/** Runs the uncommitted migration in a transaction; rejects with a StateError as `npm run dev` shows it. */
export async function runCurrent(
  url: string,
  text: string,
  { migrationsDir, placeholders }: { migrationsDir: string; placeholders: Placeholders },
): Promise<void> {
  const refusal = findRefusal(migrationsDir)
  if (refusal !== undefined) throw new StateError(describe(refusal))
  const session = await openToolSession({ url, lockTimeoutMs: 0, onNotice: () => {} })
  let completed = 0
  const { connection } = session as unknown as { connection: NodeJS.EventEmitter }
  connection.on('commandComplete', () => {
    completed++
  })
  const sent = replacePlaceholders(text, placeholders)
  try {
    await session.query(sent)
  } catch (error) {
    if (sqlstateOf(error) === undefined) throw error
    const failed = { sent, completed, error }
    throw new StateError(describe(describeFailure(failed, { migrationsDir, placeholders })))
  } finally {
    await session.end().catch(() => {})
  }

  function describe(failure: Parameters<ReturnType<typeof createReport>['failed']>[0]): string {
    let shown = ''
    const write = (part: string) => {
      shown += part
    }
    createReport({ write, folder: 'migrations', color: false }).failed(failure)
    return shown.replace(/^\[.*?\] error: /, '').trimEnd()
  }
}
