import { type BodyHash, createBodyHash } from './hash.ts'
import { type Headers, readHeaders } from './headers.ts'
import { createHeaderSearch, findIgnoredHeader, isOutsideTransaction } from './ignored-header.ts'
import { mayHaveInvisible } from './invisible-characters.ts'
import { countNewlines, offsetOfLine } from './lines.ts'
import { PIECE_BYTES } from './pieces.ts'
import { createTextReader } from './text.ts'

/** A file of `migrations/committed`, as graphile-migrate reads it. */
export interface CommittedMigration {
  readonly number: number
  /** The file's full name. */
  readonly filename: string
  /** The name that graphile-migrate records in the database: the number alone, `000001.sql`. */
  readonly recordedAs: string
  /** The part of the filename after the number; null if there is none. */
  readonly slug: string | null
  readonly message: string | null
  readonly hash: string
  readonly previousHash: string | null
  readonly path: string
  /**
   * The text that is hashed and run, before placeholders are replaced. Undefined for a file of more than
   * one piece: its text is read again where it is needed.
   */
  readonly body: string | undefined
  /** The line of the file on which the body begins, counted from 1. */
  readonly bodyLine: number
  /** It runs outside a transaction (`--! no-transaction`), so a failure may leave changes behind. */
  readonly noTransaction: boolean
  /** Finds a line that looks like a header and is none, in words: refused while the file is pending. */
  readonly findIgnored: () => string | undefined
  /** It has a character that cannot be seen, which is a mistake only outside quotes. */
  readonly mayHaveInvisible: boolean
}

/** Why a file is not a committed migration. */
export interface UnreadableMigration {
  readonly problem: string
}

/** Parses a committed file that is read in pieces. */
export interface MigrationParser {
  /** Takes the next piece; false if no other is needed. */
  read(piece: Buffer): boolean
  finish(): CommittedMigration | UnreadableMigration
}

const CR = 'has lines that end with CR alone; convert them to LF'
const CRLF =
  'has CRLF line endings; convert them to LF (in .gitattributes: migrations/committed/*.sql -text)'

/** Splits a filename such as `000001-some-name.sql`; undefined if it is not a migration's. */
export function splitFilename(
  filename: string,
): { digits: string; slug: string | null } | undefined {
  const [, digits, slug] = /^([0-9]+)(?:-([-_a-zA-Z0-9]*))?\.sql$/.exec(filename) ?? []
  return digits === undefined ? undefined : { digits, slug: slug || null }
}

/** Creates a parser for one file, which verifies that its content still has the hash in its header. */
export function createMigrationParser(path: string): MigrationParser {
  const filename = path.slice(path.lastIndexOf('/') + 1)
  const name = splitFilename(filename)
  const reader = createTextReader()
  /** Of a file in several pieces; another one is searched where it matters, while it is pending. */
  let headerSearch: ReturnType<typeof createHeaderSearch> | undefined
  let beginning: Beginning | undefined
  let body: BodyParser | undefined
  let hasInvisible = false
  let text: string | undefined

  return {
    read(piece) {
      const isOnly = beginning === undefined && piece.length < PIECE_BYTES
      text = name && reader.read(piece)
      if (text === undefined) return false
      hasInvisible ||= mayHaveInvisible(text)
      beginning ??= readBeginning(text)
      body ??= createBodyParser(beginning.previousHash)
      body.read(body.isNew ? text.slice(beginning.bodyStart) : text)
      if (!isOnly) {
        headerSearch ??= createHeaderSearch()
        headerSearch.read(text)
        text = undefined
      }
      return true
    },
    finish() {
      if (name === undefined) {
        const problem = 'is not named like a committed migration (000001-some-name.sql); remove it'
        return { problem }
      }
      const problem = reader.finish()
      if (problem !== undefined) return { problem }
      const { headers, nextLine, isCut, bodyStart, previousHash, hasCr } =
        beginning ?? readBeginning('')
      const { values, lineCount, repeated } = headers
      if (repeated !== undefined) return { problem: `has the header ${repeated} twice` }
      const facts = (body ?? createBodyParser(previousHash)).finish()
      if (hasCr) return { problem: CR }
      // The hash is taken over the trimmed text, so it does not cover the end of the last line.
      if (nextLine.endsWith('\r') || facts.endsWithCr) return { problem: CRLF }
      const findIgnored = createIgnoredSearch(text, headerSearch?.finish())
      if (nextLine !== '' || isCut) {
        const next = JSON.stringify(nextLine.slice(0, 100))
        const missing = `has no empty line after its headers, before line ${lineCount + 1}: ${next}`
        return { problem: findIgnored() ?? missing }
      }
      const hash = values.get('Hash')
      if (!hash || !values.get('Previous')) {
        const missing = `has no header "--! ${hash ? 'Previous' : 'Hash'}: …"`
        return { problem: findIgnored() ?? missing }
      }
      if (values.has('AllowInvalidHash')) {
        // graphile-migrate rejects such a file, too.
        if (facts.hash === hash) return { problem: 'has AllowInvalidHash, but its hash is valid' }
      } else if (facts.hash !== hash) {
        if (facts.hasCrLf) return { problem: CRLF }
        return { problem: `was changed: its header says ${hash}, its content has ${facts.hash}` }
      }
      return {
        number: Number(name.digits),
        filename,
        recordedAs: `${name.digits}.sql`,
        slug: name.slug,
        message: values.get('Message') || null,
        hash,
        previousHash,
        path,
        body: text && `${text.slice(bodyStart).trim()}\n`,
        bodyLine: lineCount + facts.blankLines + 1,
        noTransaction: isOutsideTransaction(facts.beginning),
        findIgnored,
        mayHaveInvisible: hasInvisible,
      }
    },
  }
}

/** A function of its own, which keeps the text and not the parser: there may be thousands of migrations. */
function createIgnoredSearch(
  text: string | undefined,
  foundInPieces: string | undefined,
): CommittedMigration['findIgnored'] {
  return () => (text === undefined ? foundInPieces : findIgnoredHeader(text))
}

/** What the first piece of a file says. */
interface Beginning {
  readonly headers: Headers
  readonly previousHash: string | null
  /** The line after the headers. */
  readonly nextLine: string
  /** The file ends within its headers. */
  readonly isCut: boolean
  readonly bodyStart: number
  /** Its first line ends with CR alone. */
  readonly hasCr: boolean
}

function readBeginning(text: string): Beginning {
  const headers = readHeaders(text)
  const bodyStart = offsetOfLine(text, headers.lineCount)
  const newline = text.indexOf('\n', bodyStart)
  const previous = headers.values.get('Previous')
  return {
    headers,
    previousHash: previous && previous !== '-' ? previous : null,
    nextLine: newline === -1 ? text.slice(bodyStart) : text.slice(bodyStart, newline),
    isCut: bodyStart > 0 && text[bodyStart - 1] !== '\n',
    bodyStart,
    hasCr: /^[^\n]*\r(?!\n)/.test(text),
  }
}

/** What is known of a body once all of it was read. */
interface BodyFacts {
  readonly hash: string
  /** Its first characters. */
  readonly beginning: string
  readonly blankLines: number
  readonly hasCrLf: boolean
  /** There is a CR among the blanks at its end. */
  readonly endsWithCr: boolean
}

interface BodyParser {
  /** Nothing was read yet. */
  readonly isNew: boolean
  read(text: string): void
  finish(): BodyFacts
}

const BEGINNING_LENGTH = 1000

function createBodyParser(previousHash: string | null): BodyParser {
  const hash: BodyHash = createBodyHash(previousHash)
  let isNew = true
  let beginning = ''
  let blankLines = 0
  let hasCrLf = false
  let endsWithCr = false
  let last = ''
  return {
    get isNew() {
      return isNew
    },
    read(text) {
      isNew = false
      hash.update(text)
      if (beginning === '') {
        const start = text.length - text.trimStart().length
        blankLines += countNewlines(text.slice(0, start))
        beginning = text.slice(start, start + BEGINNING_LENGTH)
      }
      hasCrLf ||= text.includes('\r\n') || (last === '\r' && text.startsWith('\n'))
      last = text.at(-1) ?? last
      const end = text.trimEnd().length
      endsWithCr = (end === 0 && endsWithCr) || text.includes('\r', end)
    },
    finish: () => ({ hash: hash.digest(), beginning, blankLines, hasCrLf, endsWithCr }),
  }
}
