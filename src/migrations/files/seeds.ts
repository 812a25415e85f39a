import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type HistoryProblem, historyRefusedError } from '../history-error.ts'
import { createHeaderSearch, isOutsideTransaction } from './ignored-header.ts'
import { findInvisibleCharacter } from './invisible.ts'
import { countNewlines } from './lines.ts'
import { createPauses, PIECE_BYTES, readPieces } from './pieces.ts'
import { createTextReader } from './text.ts'

/** A file of SQL that fills a database for tests: it runs after the migrations. */
export interface Seed {
  readonly filename: string
  readonly path: string
  /** Of the file's bytes. */
  readonly hash: string
  /** Its text; undefined for a file of more than one piece, which is read again when it runs. */
  readonly body: string | undefined
  /** The line on which its text begins, counted from 1. */
  readonly bodyLine: number
}

/** What tells one version of a seed from another. */
export type SeedVersion = Pick<Seed, 'filename' | 'hash'>

/** The names of the seeds, in the order in which they run: as text, whatever the locale. */
export function listSeeds(folder: string | undefined): string[] {
  if (folder === undefined) return []
  return readdirSync(folder)
    .filter((name) => /^[^.].*\.sql$/.test(name))
    .sort((a, b) => (a < b ? -1 : 1))
}

/** Reads all seeds; throws `history_refused` if one of them is not a text that PostgreSQL can run. */
export async function readSeeds(folder: string | undefined): Promise<readonly Seed[]> {
  const problems: HistoryProblem[] = []
  const seeds: Seed[] = []
  for (const filename of listSeeds(folder)) {
    const result = await readSeed(join(folder ?? '', filename), filename)
    if ('problem' in result) problems.push({ filename, problem: result.problem })
    else seeds.push(result)
  }
  if (problems.length > 0) throw historyRefusedError(problems, 'seeds')
  return seeds
}

async function readSeed(path: string, filename: string): Promise<Seed | { problem: string }> {
  const reader = createTextReader()
  const headers = createHeaderSearch()
  const hash = createHash('sha1')
  const pause = createPauses()
  let body: string | undefined
  let beginning = ''
  let count = 0
  try {
    if (!statSync(path).isFile()) return { problem: 'is not a file' }
    for await (const piece of readPieces(path)) {
      hash.update(piece)
      const text = reader.read(piece)
      if (text === undefined) break
      headers.read(text)
      if (count === 0) beginning = text
      count += 1
      body = count === 1 && piece.length < PIECE_BYTES ? text : undefined
      await pause()
    }
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
  const problem =
    reader.finish() ??
    (isOutsideTransaction(beginning)
      ? 'says --! no-transaction, and each seed runs in a transaction: remove the line'
      : headers.finish()) ??
    (body === undefined ? undefined : findInvisibleCharacter(body))
  if (problem !== undefined) return { problem }
  // A body that is read again is read without the blanks at its beginning.
  const blanks = beginning.length - beginning.trimStart().length
  const bodyLine = body === undefined && count > 0 ? 1 + countNewlines(beginning, 0, blanks) : 1
  return {
    filename,
    path,
    hash: hash.digest('hex'),
    body: count === 0 ? '' : body,
    bodyLine,
  }
}

/**
 * Creates a reader of the versions that the folder has now. It reads only files that have changed since the
 * last call, by their size and times, and does not wait: it is asked before each reset.
 */
export function createSeedVersions(folder: string | undefined): () => readonly SeedVersion[] {
  let known = new Map<string, { readonly state: string; readonly hash: string }>()
  return () => {
    const found = new Map<string, { readonly state: string; readonly hash: string }>()
    for (const filename of readNames(folder)) {
      const path = join(folder ?? '', filename)
      const stats = statSync(path, { throwIfNoEntry: false })
      const state = `${stats?.ino} ${stats?.size} ${stats?.mtimeMs} ${stats?.ctimeMs}`
      const last = known.get(filename)
      found.set(filename, last?.state === state ? last : { state, hash: hashOf(path) })
    }
    known = found
    return [...found].map(([filename, { hash }]) => ({ filename, hash }))
  }
}

function readNames(folder: string | undefined): string[] {
  try {
    return listSeeds(folder)
  } catch {
    // The folder was removed.
    return []
  }
}

function hashOf(path: string): string {
  try {
    return createHash('sha1').update(readFileSync(path)).digest('hex')
  } catch {
    return 'unreadable'
  }
}
