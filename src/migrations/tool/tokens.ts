/** What a token of SQL is, as far as splitting a script needs to know. Blanks and comments are no tokens. */
export type TokenKind =
  | 'word'
  | 'name'
  | 'string'
  | 'end'
  | 'open'
  | 'close'
  | 'backslash'
  | 'other'

export interface Tokens {
  /** Goes to the next token; undefined after the last. */
  next(): TokenKind | undefined
  /** Where the current token begins, and where it ends. */
  readonly start: number
  readonly end: number
}

export interface TokenOptions {
  /** PostgreSQL's `standard_conforming_strings`; off, a backslash escapes in every string. Default on. */
  readonly standardStrings?: boolean
}

const CODE = {
  tab: 9,
  newline: 10,
  carriageReturn: 13,
  blank: 32,
  doubleQuote: 34,
  dollar: 36,
  quote: 39,
  open: 40,
  close: 41,
  star: 42,
  minus: 45,
  slash: 47,
  zero: 48,
  nine: 57,
  semicolon: 59,
  backslash: 92,
  underscore: 95,
} as const

/**
 * Reads SQL as PostgreSQL's scanner does (scan.l). It works on character codes, because a script may have
 * 100 MB, for which regular expressions take seconds and memory for each token.
 */
export function readTokens(sql: string, { standardStrings = true }: TokenOptions = {}): Tokens {
  const length = sql.length
  const tokens = { next, start: 0, end: 0 }

  function next(): TokenKind | undefined {
    const start = skipBlanks(tokens.end)
    tokens.start = start
    tokens.end = start + 1
    if (start >= length) {
      tokens.end = length
      return undefined
    }
    const code = sql.charCodeAt(start)
    if (isWordStart(code)) return readWord(start)
    switch (code) {
      case CODE.semicolon:
        return 'end'
      case CODE.open:
        return 'open'
      case CODE.close:
        return 'close'
      case CODE.backslash:
        return 'backslash'
      case CODE.quote:
        tokens.end = endOfString(start, !standardStrings)
        return 'string'
      case CODE.doubleQuote:
        tokens.end = endOfQuotes(start, CODE.doubleQuote, false)
        return 'name'
      case CODE.dollar:
        return readDollar(start)
      default:
        return 'other'
    }
  }

  function skipBlanks(from: number): number {
    let at = from
    while (at < length) {
      const code = sql.charCodeAt(at)
      if (isBlank(code)) at++
      else if (code === CODE.minus && sql.charCodeAt(at + 1) === CODE.minus) at = endOfLine(at)
      else if (code === CODE.slash && sql.charCodeAt(at + 1) === CODE.star) at = endOfComment(at)
      else break
    }
    return at
  }

  function endOfLine(from: number): number {
    let at = from
    while (at < length && !isNewline(sql.charCodeAt(at))) at++
    return at
  }

  /** Comments nest in PostgreSQL. */
  function endOfComment(from: number): number {
    let depth = 1
    let at = from + 2
    while (at < length && depth > 0) {
      const code = sql.charCodeAt(at)
      const following = sql.charCodeAt(at + 1)
      if (code === CODE.slash && following === CODE.star) {
        depth++
        at += 2
      } else if (code === CODE.star && following === CODE.slash) {
        depth--
        at += 2
      } else at++
    }
    return at
  }

  /** A word, or a string or name with a prefix: `e'…'`, `b'…'`, `x'…'`, `n'…'`, `u&'…'`, `u&"…"`. */
  function readWord(start: number): TokenKind {
    let end = start + 1
    while (end < length && isWordPart(sql.charCodeAt(end))) end++
    tokens.end = end
    if (end > start + 1) return 'word'
    const letter = sql.charAt(start).toLowerCase()
    if (letter === 'u' && sql.charAt(end) === '&') {
      const quote = sql.charCodeAt(end + 1)
      if (quote === CODE.doubleQuote) {
        tokens.end = endOfQuotes(end + 1, quote, false)
        return 'name'
      }
      if (quote === CODE.quote) {
        tokens.end = endOfString(end + 1, false)
        return 'string'
      }
    }
    if (sql.charCodeAt(end) !== CODE.quote || !'ebxn'.includes(letter)) return 'word'
    tokens.end = endOfString(end, letter === 'e' || (letter === 'n' && !standardStrings))
    return 'string'
  }

  /** A string goes on after a line break: `'a'`, a new line, `'b'` is one string. */
  function endOfString(start: number, hasEscapes: boolean): number {
    let end = endOfQuotes(start, CODE.quote, hasEscapes)
    for (let at = startOfContinuation(end); at !== undefined; at = startOfContinuation(end)) {
      end = endOfQuotes(at, CODE.quote, hasEscapes)
    }
    return end
  }

  function startOfContinuation(from: number): number | undefined {
    let hasNewline = false
    let at = from
    while (at < length) {
      const code = sql.charCodeAt(at)
      if (isBlank(code)) {
        hasNewline ||= isNewline(code)
        at++
      } else if (code === CODE.minus && sql.charCodeAt(at + 1) === CODE.minus) at = endOfLine(at)
      else break
    }
    return hasNewline && sql.charCodeAt(at) === CODE.quote ? at : undefined
  }

  function endOfQuotes(start: number, quote: number, hasEscapes: boolean): number {
    let at = start + 1
    while (at < length) {
      const code = sql.charCodeAt(at)
      if (hasEscapes && code === CODE.backslash) at += 2
      else if (code !== quote) at++
      else if (sql.charCodeAt(at + 1) === quote) at += 2
      else return at + 1
    }
    return length
  }

  /** A dollar-quoted string, or a parameter such as `$1`. */
  function readDollar(start: number): TokenKind {
    let at = start + 1
    if (isWordStart(sql.charCodeAt(at))) {
      while (at < length && isWordPart(sql.charCodeAt(at)) && sql.charCodeAt(at) !== CODE.dollar)
        at++
    }
    if (sql.charCodeAt(at) !== CODE.dollar) return 'other'
    const delimiter = sql.slice(start, at + 1)
    const found = sql.indexOf(delimiter, at + 1)
    tokens.end = found === -1 ? length : found + delimiter.length
    return 'string'
  }

  return tokens
}

/** Tab, line feed, vertical tab, form feed, carriage return, blank: no other character is blank to PostgreSQL. */
function isBlank(code: number): boolean {
  return code === CODE.blank || (code >= CODE.tab && code <= CODE.carriageReturn)
}

function isNewline(code: number): boolean {
  return code === CODE.newline || code === CODE.carriageReturn
}

function isWordStart(code: number): boolean {
  return isLetter(code) || code === CODE.underscore || code > 127
}

function isWordPart(code: number): boolean {
  return isWordStart(code) || (code >= CODE.zero && code <= CODE.nine) || code === CODE.dollar
}

function isLetter(code: number): boolean {
  const upper = code & ~32
  return code < 128 && upper >= 65 && upper <= 90
}
