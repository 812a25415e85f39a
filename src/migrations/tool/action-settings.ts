import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeText } from '../files/text.ts'

/** SQL that `.gmrc` has run before or after all migrations. */
export interface SqlAction {
  /** The key of `.gmrc`. */
  readonly hook: ActionHook
  /** Relative to the migrations folder. */
  readonly file: string
  /** Its content, before placeholders are replaced. */
  readonly text: string
}

export type ActionHook = 'beforeAllMigrations' | 'afterAllMigrations'

/** Reports a wrong setting: the key, what was given, and what was expected. */
export type Report = (key: string, given: string, expected: string) => void

const EXPECTED = 'SQL for the database itself: "file.sql" or { _: "sql", file: "file.sql" }'

/**
 * Picks the actions that the service runs, with the files' contents. Actions for the shadow database
 * are ignored; commands, and SQL over the root connection, which graphile-migrate does not allow here
 * either, are reported.
 */
export function parseActions(
  hook: ActionHook,
  value: unknown,
  { migrationsDir, report }: { migrationsDir: string; report: Report },
): SqlAction[] {
  if (value === undefined || value === null) return []
  const isList = Array.isArray(value)
  return (isList ? value : [value]).flatMap((action: unknown, index) => {
    const key = isList ? `${hook}[${index}]` : hook
    const spec = typeof action === 'string' ? parseShorthand(action) : action
    if (isForShadow(spec)) return []
    const problem = findProblem(spec)
    if (problem !== undefined) {
      report(key, problem, EXPECTED)
      return []
    }
    const { file } = spec as { file: string }
    const content = readAction(join(migrationsDir, file))
    if ('text' in content) return [{ hook, file, text: content.text }]
    report(key, `${file}, which ${content.problem}`, 'a file in the migrations folder, in UTF-8')
    return []
  })
}

function parseShorthand(text: string): object {
  return text.startsWith('!')
    ? { _: 'sql', file: text.slice(1), root: true }
    : { _: 'sql', file: text }
}

function isForShadow(spec: unknown): boolean {
  return typeof spec === 'object' && spec !== null && 'shadow' in spec && spec.shadow === true
}

function findProblem(spec: unknown): string | undefined {
  if (typeof spec !== 'object' || spec === null) return typeof spec
  const { _: type, file, root, shadow, command } = spec as Record<string, unknown>
  if (shadow !== undefined && typeof shadow !== 'boolean') return 'a shadow that is not a boolean'
  // graphile-migrate accepts a command without a type.
  if (type === 'command' || (type === undefined && typeof command === 'string')) {
    return 'a command, which the service does not run'
  }
  if (type !== 'sql') return 'an unknown kind of action'
  if (typeof file !== 'string') return 'an action without a file'
  return root === true ? 'an action for the root connection' : undefined
}

function readAction(path: string): { text: string } | { problem: string } {
  try {
    return decodeText(readFileSync(path))
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
}
