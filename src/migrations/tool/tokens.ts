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
  /** Goes to the next token; undefined after the last, or if it does not end within what was added. */
  next(): TokenKind | undefined
  /** Where the current token begins in the script, and where it ends. */
  readonly start: number
  readonly end: number
  /** The current token's text, if it is a word or a character. */
  text(): string
  /** Adds the next piece of the script. Only a token that is not yet complete is kept of the last one. */
  add(piece: string): void
  /** Says that all pieces were added. */
  close(): void
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
  semicolon: 59,
  backslash: 92,
  underscore: 95,
} as const

/** Reads the tokens of a whole script. */
export function readTokens(sql: string, options?: TokenOptions): Tokens {
  const tokens = createTokens(options)
  tokens.add(sql)
  tokens.close()
  return tokens
}

/** A token that may be longer than a piece of the script. */
type LongToken =
  | { kind: 'string' | 'name'; quote: number; hasEscapes: boolean; isClosed: boolean }
  | { kind: 'string'; delimiter: string }

/**
 * Reads SQL as PostgreSQL's scanner does (scan.l), piece by piece. A script may have 100 MB, so nothing is
 * created for a token. Most files are read once, by code that V8 has not compiled yet: so the loops over
 * characters are the engine's own.
 */
export function createTokens({ standardStrings = true }: TokenOptions = {}): Tokens {
  const find = createFinders()
  let sql = ''
  let isLast = false
  /** The offset in the script of what is in `sql`, and how much of that was read. */
  let base = 0
  let at = 0
  let commentDepth = 0
  let isInLineComment = false
  let long: LongToken | undefined
  /** What follows decides what the token is. */
  let isCut = false
  const tokens = { next, start: 0, end: 0, text, add, close }

  function add(piece: string): void {
    base += at
    sql = at < sql.length ? sql.slice(at) + piece : piece
    at = 0
  }

  function close(): void {
    isLast = true
  }

  function text(): string {
    return sql.slice(tokens.start - base, tokens.end - base)
  }

  function next(): TokenKind | undefined {
    let kind = long?.kind as TokenKind | undefined
    if (kind === undefined) {
      if (!skipBlanks()) return undefined
      const start = at
      tokens.start = base + start
      isCut = false
      kind = beginToken(sql.charCodeAt(start))
      if (isCut || (at >= sql.length && !isLast && long === undefined)) {
        long = undefined
        at = start
        return undefined
      }
    }
    if (long !== undefined && !endLongToken(long)) return undefined
    long = undefined
    tokens.end = base + at
    return kind
  }

  /** Returns whether a token follows. */
  function skipBlanks(): boolean {
    while (true) {
      if (commentDepth > 0) skipComment()
      if (commentDepth > 0) return false
      if (isInLineComment) {
        at = find.newline(sql, at)
        isInLineComment = at >= sql.length
      }
      if (at >= sql.length) return false
      const code = sql.charCodeAt(at)
      if (isBlank(code)) at = find.noBlank(sql, at)
      else if (code === CODE.minus && sql.charCodeAt(at + 1) === CODE.minus) isInLineComment = true
      else if (code === CODE.slash && sql.charCodeAt(at + 1) === CODE.star) {
        commentDepth = 1
        at += 2
      } else return true
    }
  }

  /** Comments nest in PostgreSQL. */
  function skipComment(): void {
    const length = isLast ? sql.length : sql.length - 1
    while (at < length && commentDepth > 0) {
      const code = sql.charCodeAt(at)
      const following = sql.charCodeAt(at + 1)
      if (code === CODE.slash && following === CODE.star) {
        commentDepth++
        at += 2
      } else if (code === CODE.star && following === CODE.slash) {
        commentDepth--
        at += 2
      } else at++
    }
  }

  function beginToken(code: number): TokenKind {
    if (isWordStart(code)) return beginWord()
    at++
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
        return beginQuotes('string', CODE.quote, !standardStrings)
      case CODE.doubleQuote:
        return beginQuotes('name', CODE.doubleQuote, false)
      case CODE.dollar:
        return beginDollar()
      default:
        return 'other'
    }
  }

  /** A word, or a string or name with a prefix: `e'…'`, `b'…'`, `x'…'`, `n'…'`, `u&'…'`, `u&"…"`. */
  function beginWord(): TokenKind {
    const letter = sql.charAt(at).toLowerCase()
    const start = at
    at = find.noWordPart(sql, at)
    if (at > start + 1) return 'word'
    if (letter === 'u' && sql.charAt(at) === '&') {
      const quote = sql.charCodeAt(at + 1)
      isCut = at + 1 >= sql.length && !isLast
      if (quote === CODE.quote || quote === CODE.doubleQuote) {
        at += 2
        return beginQuotes(quote === CODE.quote ? 'string' : 'name', quote, false)
      }
    }
    if (sql.charCodeAt(at) !== CODE.quote || !'ebxn'.includes(letter)) return 'word'
    at++
    const hasEscapes = letter === 'e' || (letter === 'n' && !standardStrings)
    return beginQuotes('string', CODE.quote, hasEscapes)
  }

  function beginQuotes(kind: 'string' | 'name', quote: number, hasEscapes: boolean): TokenKind {
    long = { kind, quote, hasEscapes, isClosed: false }
    return kind
  }

  /** A dollar-quoted string, or a parameter such as `$1`. */
  function beginDollar(): TokenKind {
    const start = at - 1
    const end = isWordStart(sql.charCodeAt(at)) ? find.tagEnd(sql, at) : at
    isCut = end >= sql.length && !isLast
    if (sql.charCodeAt(end) !== CODE.dollar) return 'other'
    at = end + 1
    long = { kind: 'string', delimiter: sql.slice(start, at) }
    return 'string'
  }

  /** Goes to the end of the token; returns false if that was not added yet. */
  function endLongToken(token: LongToken): boolean {
    if ('delimiter' in token) {
      const { delimiter } = token
      const found = sql.indexOf(delimiter, at)
      if (found !== -1) at = found + delimiter.length
      else at = isLast ? sql.length : Math.max(at, sql.length - delimiter.length + 1)
      return found !== -1 || isLast
    }
    while (true) {
      if (!token.isClosed) {
        token.isClosed = skipQuotes(token.quote, token.hasEscapes)
        if (!token.isClosed) return isLast
      }
      if (token.kind === 'name') return true
      const continuation = findContinuation()
      if (continuation === 'cut') return false
      if (continuation === undefined) return true
      at = continuation + 1
      token.isClosed = false
    }
  }

  /** Goes behind the closing quote; returns false if there is none yet. */
  function skipQuotes(quote: number, hasEscapes: boolean): boolean {
    const findStop =
      quote === CODE.doubleQuote
        ? find.doubleQuote
        : hasEscapes
          ? find.quoteOrBackslash
          : find.quote
    while (at < sql.length) {
      at = findStop(sql, at)
      if (at >= sql.length) return false
      const isEscape = sql.charCodeAt(at) === CODE.backslash
      // What follows may be in the next piece.
      if (at + 1 >= sql.length && !isLast) return false
      else if (isEscape || sql.charCodeAt(at + 1) === quote) at += 2
      else {
        at++
        return true
      }
    }
    at = sql.length
    return false
  }

  /** A string goes on after a line break: `'a'`, a new line, `'b'` is one string. */
  function findContinuation(): number | 'cut' | undefined {
    let hasNewline = false
    let next = at
    while (next < sql.length) {
      const code = sql.charCodeAt(next)
      if (isBlank(code)) {
        hasNewline ||= isNewline(code)
        next++
      } else if (code === CODE.minus && next + 1 >= sql.length && !isLast) return 'cut'
      else if (code === CODE.minus && sql.charCodeAt(next + 1) === CODE.minus)
        next = find.newline(sql, next)
      else return hasNewline && code === CODE.quote ? next : undefined
    }
    return isLast ? undefined : 'cut'
  }

  return tokens
}

/** Finds the first character of a kind from an offset on: its offset, or the text's length. */
type Finder = (text: string, from: number) => number

function createFinders() {
  return {
    newline: createFinder(/[\n\r]/g),
    noBlank: createFinder(/[^\t-\r ]/g),
    noWordPart: createFinder(/[^\w$\u0080-\uffff]/g),
    tagEnd: createFinder(/[^\w\u0080-\uffff]/g),
    quote: createFinder(/'/g),
    quoteOrBackslash: createFinder(/['\\]/g),
    doubleQuote: createFinder(/"/g),
  } satisfies Record<string, Finder>
}

/** `test` creates no object, and moves the pattern's own offset. */
function createFinder(pattern: RegExp): Finder {
  return (text, from) => {
    pattern.lastIndex = from
    return pattern.test(text) ? pattern.lastIndex - 1 : text.length
  }
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

function isLetter(code: number): boolean {
  const upper = code & ~32
  return code < 128 && upper >= 65 && upper <= 90
}
