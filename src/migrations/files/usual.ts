import { hash } from 'node:crypto'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { findIgnoredHeader } from './ignored-header.ts'
import { mayHaveInvisible } from './invisible-characters.ts'
import { countNewlines } from './lines.ts'
import { type CommittedMigration, splitFilename } from './migration.ts'
import { PIECE_BYTES } from './pieces.ts'

/**
 * Reads a committed file that looks as `graphile-migrate commit` writes it and has the hash of its header.
 * Undefined for every other one, whatever is wrong with it, or only unusual: that is for the migration parser,
 * which says the same of these, and takes five times as long. A start reads every file.
 */
export type ReadUsualMigration = (path: string) => CommittedMigration | undefined

/**
 * Creates a reader with one buffer for all files. Synchronous: promises take six times as long for 1,000. It
 * does not ask what kind of file it reads, nor how long that is: only the whole text has the hash.
 */
export function createUsualReader(): ReadUsualMigration {
  const buffer = Buffer.allocUnsafe(PIECE_BYTES)
  return (path) => {
    const length = readOnce(path, buffer)
    if (length === 0 || length === PIECE_BYTES) return undefined
    return parseUsualMigration(path, buffer.toString('utf8', 0, length))
  }
}

/** Symbolic links are followed: the files of a mounted ConfigMap are links. A pipe is not waited for. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

/** Returns how many bytes there are, at most the buffer's; 0 for what cannot be read. */
function readOnce(path: string, buffer: Buffer): number {
  try {
    const file = openSync(path, FLAGS)
    try {
      return readSync(file, buffer, 0, buffer.length, null)
    } finally {
      closeSync(file)
    }
  } catch {
    return 0
  }
}

/** Line breaks that are not LF alone, what PostgreSQL does not accept, and what stands for bytes that are not UTF-8. */
const UNUSUAL = /[\r\0\ufffd]/

/** Parses the text of a file as `createMigrationParser` does; undefined for one that is not usual. */
export function parseUsualMigration(path: string, text: string): CommittedMigration | undefined {
  if (UNUSUAL.test(text) || mayHaveInvisible(text)) return undefined
  const filename = path.slice(path.lastIndexOf('/') + 1)
  const name = splitFilename(filename)
  if (name === undefined) return undefined
  const previousEnd = findHeaderEnd(text, 0, PREVIOUS)
  const hashEnd = findHeaderEnd(text, previousEnd, HASH)
  if (hashEnd === 0) return undefined
  const messageEnd = findHeaderEnd(text, hashEnd, MESSAGE)
  const headersEnd = messageEnd || hashEnd
  if (text[headersEnd] !== '\n') return undefined
  const content = text.slice(headersEnd).trimStart()
  // It may run outside a transaction, or have something that looks like a header.
  if (content === '' || content.startsWith('--!')) return undefined

  const previous = text.slice(PREVIOUS.length, previousEnd).trim()
  const previousHash = previous === '-' ? null : previous
  const recordedHash = text.slice(previousEnd + HASH.length, hashEnd).trim()
  const body = `${content.trimEnd()}\n`
  const hashed = previousHash === null ? body : `${previousHash}\n${body}`
  if (previous === '' || recordedHash !== `sha1:${hash('sha1', hashed)}`) return undefined
  const message = messageEnd && text.slice(hashEnd + MESSAGE.length, messageEnd).trim()
  return {
    number: Number(name.digits),
    filename,
    recordedAs: `${name.digits}.sql`,
    slug: name.slug,
    message: message || null,
    hash: recordedHash,
    previousHash,
    path,
    body,
    bodyLine: countNewlines(text, 0, text.length - content.length) + 1,
    noTransaction: false,
    findIgnored: () => findIgnoredHeader(text),
    mayHaveInvisible: false,
  }
}

const PREVIOUS = '--! Previous: '
const HASH = '--! Hash: '
const MESSAGE = '--! Message: '

/** Where the line after a header begins; 0 if the header is not there. */
function findHeaderEnd(text: string, start: number, header: string): number {
  return text.startsWith(header, start) ? text.indexOf('\n', start) + 1 : 0
}
