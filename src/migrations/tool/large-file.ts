import { type Body, findPlace, readBody } from '../files/body.ts'
import { PIECE_BYTES } from '../files/pieces.ts'
import { mayLeaveUnseen } from './leftovers.ts'
import { findOriginalOffset, type Location, replacePlaceholders, toLocation } from './location.ts'
import { findReason, MAX_STATEMENT_LENGTH, type Refusal, refuse } from './refusal.ts'
import { Script } from './script.ts'
import { createStatementFinder, createStatementReader } from './statements.ts'
import type { TokenOptions } from './tokens.ts'

/**
 * A migration that is too large to be kept in memory. It is read from its file each time, and sent to
 * PostgreSQL in batches of whole statements: as one message, a million statements would take gigabytes
 * in the server, too. Outside a transaction it stays one message, which is a transaction of its own.
 */
export interface LargeFile extends Body {
  readonly noTransaction: boolean
  readonly placeholders: Readonly<Record<string, string>>
}

/** Statements that are sent together. Offsets are in the text as it is sent. */
export interface Batch {
  readonly start: number
  readonly end: number
  readonly bytes: number
}

export interface LargeFilePlan {
  /** The first statement that no migration may contain. */
  readonly refusal: Refusal | undefined
  readonly batches: readonly Batch[]
  /** See `leftovers.ts`. */
  readonly mayLeaveUnseen: boolean
}

/** More than any code is long that leaves something unseen. */
const OVERLAP = 1000

/** Reads the file once, before any of it runs. */
export async function planLargeFile(
  file: LargeFile,
  options: TokenOptions,
): Promise<LargeFilePlan> {
  const { noTransaction } = file
  let found: Omit<Refusal, 'statement'> | undefined
  let foundEnd = 0
  /** Where the last complete statement ends. */
  let lastEnd = 0
  const statements = createStatementReader((statement) => {
    const reason = findReason(statement, { noTransaction })
    lastEnd = statement.end + 1
    if (reason === undefined) return false
    found = refuse(reason, statement.start)
    foundEnd = statement.isPsqlCommand ? Number.POSITIVE_INFINITY : statement.end
    return true
  }, options)
  const batches: Batch[] = []
  let hasUnseen = false
  let tail = ''
  let length = 0
  let start = 0
  let bytes = 0
  for await (const piece of readSent(file)) {
    hasUnseen ||= mayLeaveUnseen(tail + piece)
    tail = piece.slice(-OVERLAP)
    if (!statements.read(piece)) break
    const end = Math.max(length, Math.min(lastEnd, length + piece.length))
    const isComplete =
      lastEnd > length && !noTransaction && length + piece.length - start > PIECE_BYTES
    if (isComplete) {
      bytes += Buffer.byteLength(piece.slice(0, end - length))
      batches.push({ start, end, bytes })
      start = end
      bytes = Buffer.byteLength(piece.slice(end - length))
    } else bytes += Buffer.byteLength(piece)
    length += piece.length
  }
  if (found === undefined) statements.finish()
  if (start < length) batches.push({ start, end: length, bytes })
  if (found === undefined) return { refusal: undefined, batches, mayLeaveUnseen: hasUnseen }
  const statement = await readStatement(file, found.offset, foundEnd)
  return { refusal: { ...found, statement }, batches: [], mayLeaveUnseen: hasUnseen }
}

/** Creates the scripts that send the batches. Each has to be done before the next one is asked for. */
export async function* createScripts(
  file: LargeFile,
  batches: readonly Batch[],
): AsyncGenerator<{ script: Script; batch: Batch }, void> {
  const source = readSent(file)
  let rest = ''
  async function* take(length: number) {
    for (let left = length; left > 0; ) {
      if (rest === '') {
        const { value } = await source.next()
        if (value === undefined) throw new Error(`${file.path} was changed while it was run`)
        rest = value
      }
      const taken = rest.slice(0, left)
      rest = rest.slice(taken.length)
      left -= taken.length
      yield taken
    }
  }
  try {
    for (const batch of batches) {
      const pieces = take(batch.end - batch.start)
      yield { script: new Script({ bytes: batch.bytes, pieces }), batch }
    }
  } finally {
    await source.return()
  }
}

/** Finds the line that PostgreSQL's position in a batch means. */
export async function locatePosition(
  file: LargeFile,
  { start }: Batch,
  position: number,
): Promise<Location> {
  let left = position - 1
  return locateInPieces(file, (sent, offset) => {
    let at = Math.max(0, start - offset)
    for (; left > 0 && at < sent.length; left--) at += (sent.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
    return at < sent.length ? at : undefined
  })
}

/** Finds the line on which the statement with this index (from 0) begins. */
export async function locateStatement(
  file: LargeFile,
  index: number,
  options: TokenOptions,
): Promise<Location | undefined> {
  const finder = createStatementFinder(index, options)
  for await (const piece of readSent(file)) if (!finder.read(piece)) break
  if (finder.start === undefined) finder.finish()
  return finder.start === undefined ? undefined : locateOffset(file, finder.start)
}

/** Finds the line of an offset in the text that is sent. */
export function locateOffset(file: LargeFile, offset: number): Promise<Location> {
  return locateInPieces(file, (sent, start) =>
    offset < start + sent.length ? offset - start : undefined,
  )
}

/** `find` returns the offset in a piece of the text that is sent, or undefined if it is in a later one. */
async function locateInPieces(
  file: LargeFile,
  find: (sent: string, start: number) => number | undefined,
): Promise<Location> {
  let original = 0
  let start = 0
  for await (const piece of readBody(file)) {
    const sent = replacePlaceholders(piece, file.placeholders)
    const found = find(sent, start)
    if (found !== undefined) {
      const offset = original + findOriginalOffset(piece, file.placeholders, found)
      return toLocation(await findPlace(file, offset))
    }
    original += piece.length
    start += sent.length
  }
  return toLocation(await findPlace(file, original - 1))
}

async function readStatement(file: LargeFile, start: number, end: number): Promise<string> {
  const stop = Math.min(end, start + MAX_STATEMENT_LENGTH)
  let offset = 0
  let text = ''
  for await (const piece of readSent(file)) {
    text += piece.slice(Math.max(0, start - offset), Math.max(0, stop - offset))
    offset += piece.length
    if (offset >= stop) break
  }
  return (Number.isFinite(end) ? text : (text.split('\n')[0] ?? '')).trim()
}

async function* readSent({ path, placeholders }: LargeFile): AsyncGenerator<string, void> {
  for await (const piece of readBody({ path })) yield replacePlaceholders(piece, placeholders)
}
