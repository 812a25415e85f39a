import { readHeaders } from './headers.ts'
import { countNewlines, offsetOfLine } from './lines.ts'

const NO_TRANSACTION = 'no-transaction'
const HEADERS = ['Previous', 'Hash', 'Message', 'AllowInvalidHash']

/** Every line that begins as a header does. */
const HEADER_LIKE = /^[^\S\n]*--[^\S\n]*![^\n]*/gm
/** Comments that graphile-migrate replaces or writes, and which are not headers. */
const DIRECTIVE = /^--![ \t]*(?:include|included|endincluded|split)\b/i

/** More of a line than decides whether it looks like a header, and than is shown. */
const LINE_HEAD = 1000

/** Whether a body runs outside a transaction: graphile-migrate looks at its first line only. */
export function isOutsideTransaction(body: string): boolean {
  return /^\s*--!\s*no-transaction\b/.test(body)
}

/**
 * Finds a line that looks like a header and that graphile-migrate would ignore, such as
 * `--! No-Transaction` or one below a comment; undefined if there is none. Such a file would not run
 * as it says.
 */
export function findIgnoredHeader(text: string): string | undefined {
  const search = createHeaderSearch()
  search.read(text)
  return search.finish()
}

/** Creates a search, as `findIgnoredHeader` does it, in a file that is read in pieces. */
export function createHeaderSearch(): {
  read(piece: string): void
  finish(): string | undefined
} {
  /** The beginning of the line that the last piece ended within. */
  let unfinished = ''
  let line = 1
  /** Which of graphile-migrate's headers are known, in order; undefined before the first piece. */
  let taken: boolean[] | undefined
  let bodyLine = 1
  let isTaken = false
  let hasStatement = false
  /** The first that is ignored in any case, and the first that is if no other is taken. */
  let ignored: Found | undefined
  let noTransaction: Found | undefined

  function search(text: string): void {
    const statement = hasStatement ? 0 : (/^(?!\s*$)(?!\s*--)/m.exec(text)?.index ?? text.length)
    let at = 0
    for (const { 0: found, index } of text.matchAll(HEADER_LIKE)) {
      line += countNewlines(text, at, index)
      at = index
      const isOurs = line < bodyLine ? taken?.shift() : DIRECTIVE.test(found)
      if (isOurs) continue
      const name = nameOf(found)
      if (isSame(name, NO_TRANSACTION)) noTransaction ??= { text: found, name, line }
      else if (index < statement) ignored ??= { text: found, name, line }
    }
    line += countNewlines(text, at, text.length)
    hasStatement ||= statement < text.length
  }

  return {
    read(piece) {
      if (taken === undefined) {
        const { values, lineCount } = readHeaders(piece)
        taken = [...values.keys()].map((name) => HEADERS.includes(name))
        bodyLine = lineCount + 1
        isTaken = isOutsideTransaction(piece.slice(offsetOfLine(piece, lineCount)))
      }
      const text = unfinished + piece
      const end = text.lastIndexOf('\n') + 1
      unfinished = text.slice(end, end + LINE_HEAD)
      if (end > 0) search(text.slice(0, end))
    },
    finish() {
      search(unfinished)
      if (isTaken) noTransaction = undefined
      const [first] = [ignored, noTransaction]
        .filter((found) => found !== undefined)
        .sort((a, b) => a.line - b.line)
      return first && describe(first.text, first.name, first.line)
    },
  }
}

interface Found {
  readonly text: string
  readonly name: string
  readonly line: number
}

function describe(line: string, name: string, number: number): string {
  const shown = JSON.stringify(line.trimEnd().slice(0, 100))
  return `has a header that graphile-migrate ignores, line ${number}: ${shown}; ${remedyFor(name)}`
}

function remedyFor(name: string): string {
  if (isSame(name, NO_TRANSACTION)) {
    return `write "--! ${NO_TRANSACTION}", in lower case, on the first line after the headers`
  }
  const known = HEADERS.find((header) => isSame(name, header))
  if (known === undefined) {
    return `it knows ${HEADERS.join(', ')} and ${NO_TRANSACTION}; remove the line, or its exclamation mark`
  }
  const header = known === 'AllowInvalidHash' ? known : `${known}: …`
  return `write "--! ${header}" on one of the first lines of the file, before any other`
}

function nameOf(line: string): string {
  return /!\s*([a-z][\w-]*(?: transaction)?)/i.exec(line)?.[1] ?? ''
}

function isSame(name: string, header: string): boolean {
  const reduce = (text: string) => text.toLowerCase().replaceAll(/[-_ ]/g, '')
  return reduce(name) === reduce(header)
}
