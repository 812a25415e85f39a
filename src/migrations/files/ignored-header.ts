import { readHeaders } from './headers.ts'

const NO_TRANSACTION = 'no-transaction'
const HEADERS = ['Previous', 'Hash', 'Message', 'AllowInvalidHash']

/** Every line that begins as a header does. */
const HEADER_LIKE = /^[^\S\n]*--[^\S\n]*![^\n]*/gm
/** Comments that graphile-migrate replaces or writes, and which are not headers. */
const DIRECTIVE = /^--![ \t]*(?:include|included|endincluded|split)\b/i

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
  const { values, lineCount } = readHeaders(text)
  const bodyStart = offsetOfLine(text, lineCount)
  const isTaken = isOutsideTransaction(text.slice(bodyStart))
  const statement = /^(?!\s*$)(?!\s*--)/m.exec(text.slice(bodyStart))
  const statementStart = statement === null ? text.length : bodyStart + statement.index
  const taken = [...values.keys()].map((name) => HEADERS.includes(name))
  for (const { 0: line, index } of text.matchAll(HEADER_LIKE)) {
    const isOurs = index < bodyStart ? taken.shift() : DIRECTIVE.test(line)
    if (isOurs) continue
    const name = nameOf(line)
    const isIgnored = isSame(name, NO_TRANSACTION) ? !isTaken : index < statementStart
    if (isIgnored) return describe(line, name, lineAt(text, index))
  }
  return undefined
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

function offsetOfLine(text: string, lineCount: number): number {
  let offset = 0
  for (let line = 0; line < lineCount; line++)
    offset = text.indexOf('\n', offset) + 1 || text.length
  return offset
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}
