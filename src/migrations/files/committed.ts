import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '../../errors/service-error.ts'
import { type HistoryProblem, refuseHistory } from '../history-error.ts'

/** A file of `migrations/committed`, as graphile-migrate reads it. */
export interface CommittedMigration {
  readonly number: number
  /** The file's full name. */
  readonly filename: string
  /** What the tool records in the database: the number alone, `000001.sql`. */
  readonly recordedAs: string
  /** The file's name without number and ending; null where it has none. */
  readonly slug: string | null
  readonly message: string | null
  readonly hash: string
  readonly previousHash: string | null
  /** The text whose hash is taken and that is run, before placeholders are replaced. */
  readonly body: string
  /** The line of the file on which the body begins, counted from 1. */
  readonly bodyLine: number
  /** Runs outside a transaction (`--! no-transaction`), so a failure may leave something behind. */
  readonly noTransaction: boolean
}

/** The migrations that can be read, in order, and what is wrong with other files. */
export interface CommittedFolder {
  readonly migrations: readonly CommittedMigration[]
  readonly problems: readonly HistoryProblem[]
}

/** Reads every committed migration, in order, and refuses a folder in which anything does not fit. */
export function readCommittedMigrations(migrationsDir: string): readonly CommittedMigration[] {
  const { migrations, problems } = readCommittedFolder(migrationsDir)
  const refused = problems.length > 0 ? problems : [...findBreaks(migrations)]
  if (refused.length > 0) throw refuseHistory(refused)
  if (migrations.length === 0) {
    throw new ServiceError(
      'no_migrations',
      `${join(migrationsDir, 'committed')} holds no committed migration; expected files such as ` +
        '000001-first.sql, made by graphile-migrate commit',
    )
  }
  return migrations
}

/** Synchronous on purpose: 1,000 files take a sixth of the time that promises take. */
export function readCommittedFolder(migrationsDir: string): CommittedFolder {
  const folder = join(migrationsDir, 'committed')
  const problems: HistoryProblem[] = []
  const migrations: CommittedMigration[] = []

  for (const filename of listFiles(folder)) {
    const result = readMigration(folder, filename)
    if ('problem' in result) problems.push({ filename, problem: result.problem })
    else migrations.push(result)
  }
  migrations.sort((a, b) => a.number - b.number)
  return { migrations, problems }
}

/** Number and slug, as a file's name has them; undefined where it is no migration's. */
export function splitFilename(
  filename: string,
): { digits: string; slug: string | null } | undefined {
  const [, digits, slug] = /^([0-9]+)(?:-([-_a-zA-Z0-9]*))?\.sql$/.exec(filename) ?? []
  return digits === undefined ? undefined : { digits, slug: slug || null }
}

/** All but dot files: a mounted ConfigMap brings folders such as `..data`, git its `.gitkeep`. */
function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'))
  } catch (cause) {
    throw new ServiceError(
      'no_migrations_folder',
      `${folder} cannot be read (${(cause as NodeJS.ErrnoException).code}); MIGRATIONS_DIR must ` +
        'name a folder that holds a folder committed/',
      { cause },
    )
  }
}

function readMigration(
  folder: string,
  filename: string,
): CommittedMigration | { readonly problem: string } {
  const name = splitFilename(filename)
  if (name === undefined) {
    return { problem: 'is not a committed migration (000001-some-name.sql); take it away' }
  }
  let text: string
  try {
    // A link is followed: mounted ConfigMaps consist of them.
    if (!statSync(join(folder, filename)).isFile()) return { problem: 'is not a file' }
    text = readFileSync(join(folder, filename), 'utf8')
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
  const { headers, headerLines, repeated } = readHeaders(text)
  if (repeated !== undefined) return { problem: `has the header ${repeated} twice` }

  const lines = text.split('\n')
  // The hash is taken over the trimmed text, so it does not see how the last line ends.
  if (lines[headerLines]?.endsWith('\r') || /\r\s*$/.test(text)) return { problem: CRLF }
  if (lines[headerLines] !== '') return { problem: 'has no empty line after its headers' }
  const hash = headers.get('Hash')
  const previous = headers.get('Previous')
  if (!hash || !previous) {
    return { problem: `has no header "--! ${hash ? 'Previous' : 'Hash'}: …"` }
  }

  const rest = lines.slice(headerLines).join('\n')
  const body = `${rest.trim()}\n`
  const previousHash = previous === '-' ? null : previous
  const actualHash = calculateHash(body, previousHash)
  if (headers.has('AllowInvalidHash')) {
    // The tool insists: it would refuse to run such a file.
    if (actualHash === hash) return { problem: 'has AllowInvalidHash, but its hash is valid' }
  } else if (actualHash !== hash) {
    if (body.includes('\r\n')) return { problem: CRLF }
    return { problem: `was changed: its header says ${hash}, its content has ${actualHash}` }
  }

  return {
    number: Number(name.digits),
    filename,
    recordedAs: `${name.digits}.sql`,
    slug: name.slug,
    message: headers.get('Message') || null,
    hash,
    previousHash,
    body,
    bodyLine: headerLines + 1 + countNewlines(rest.slice(0, rest.length - rest.trimStart().length)),
    noTransaction: /^--!\s*no-transaction\b/.test(body),
  }
}

const CRLF =
  'has CRLF line ends; convert it to LF (in .gitattributes: migrations/committed/*.sql -text)'

function readHeaders(text: string) {
  const headers = new Map<string, string | null>()
  let headerLines = 0
  let repeated: string | undefined
  for (const line of text.split('\n', 100)) {
    const match = /^--! ([A-Z][a-zA-Z0-9_]*)(?::(.*))?$/.exec(line)
    if (match?.[1] === undefined) break
    if (headers.has(match[1])) repeated = match[1]
    headers.set(match[1], match[2]?.trim() ?? null)
    headerLines++
  }
  return { headers, headerLines, repeated }
}

/** The chain of numbers and hashes: every file refers to the one before it. */
function* findBreaks(migrations: readonly CommittedMigration[]): Generator<HistoryProblem> {
  let previous: CommittedMigration | undefined
  for (const migration of migrations) {
    const { filename, number } = migration
    const expectedNumber = (previous?.number ?? 0) + 1
    const expectedHash = previous?.hash ?? null
    if (previous !== undefined && number === previous.number) {
      yield { filename, problem: `has the same number as ${previous.filename}` }
    } else if (number !== expectedNumber) {
      yield { filename, problem: `follows a gap: number ${expectedNumber} is missing` }
    } else if (
      previous !== undefined &&
      migration.recordedAs.length !== previous.recordedAs.length
    ) {
      // The tool sorts and compares the names as text, so that such files change their order.
      yield { filename, problem: `has not as many digits as ${previous.filename}: pad them alike` }
    } else if (migration.previousHash !== expectedHash) {
      yield {
        filename,
        problem:
          `does not follow ${previous?.filename ?? 'the beginning'}: its header Previous says ` +
          `${migration.previousHash ?? '-'}, expected ${expectedHash ?? '-'}`,
      }
    }
    previous = migration
  }
}

/** As graphile-migrate calculates it: over the previous hash and the trimmed text. */
export function calculateHash(body: string, previousHash: string | null): string {
  const content = `${`${previousHash ?? ''}\n${body.trim()}`.trim()}\n`
  return `sha1:${createHash('sha1').update(content).digest('hex')}`
}

function countNewlines(text: string): number {
  return text.split('\n').length - 1
}
