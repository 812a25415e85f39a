/** A shorter secret is masked only where it is a whole word: it may be part of ordinary words. */
const MIN_PART_LENGTH = 6

/** How a secret is recognized in a text. */
export type Match =
  /** Wherever it is, inside of longer words too. */
  | 'anywhere'
  /** Where no letter or digit touches it. */
  | 'word'
  /** Only where a password is expected: the same word is also a user, a host or a database. */
  | 'password'

/** What a whole word must not touch: letters, and the digits of a time, a version or an address. */
const BEFORE = String.raw`(?<![\p{L}\p{N}_]|\d[-:.](?=\d))`
const AFTER = String.raw`(?![\p{L}\p{N}_]|(?<=\d)[-:.]\d)`
const BEFORE_PASSWORD = String.raw`(?<=:\/\/[^\s\/@:]*:|[pP](?:assword|ASSWORD)["']?\s*[=:]?\s*["']?)`
const AFTER_PASSWORD = String.raw`(?![\p{L}\p{N}_])`

/** Creates the pattern that finds a secret in every form that an output may give it. */
export function createSecretPattern(secret: string, match: Match): RegExp {
  const forms = describeForms(secret)
  if (match === 'password')
    return new RegExp(BEFORE_PASSWORD + forms.join('') + AFTER_PASSWORD, 'gu')
  if (match === 'word' || secret.length < MIN_PART_LENGTH) {
    return new RegExp(BEFORE + forms.join('') + AFTER, 'gu')
  }
  return new RegExp(forms.join(''), 'gu')
}

/** The beginning of a secret that a text which was cut off inside of it still shows. */
export interface CutSecret {
  /** The least of it that counts. */
  readonly shown: string
  /** Creates the pattern that finds at least that much, before the end of a text or dots. */
  readonly createPattern: () => RegExp
}

/** Says how a secret is found that was cut off; undefined if it is too short or too long for that. */
export function cutSecret(secret: string): CutSecret | undefined {
  const characters = [...secret]
  const { length } = characters
  const least = Math.max(MIN_PART_LENGTH, Math.ceil((length * 2) / 3))
  if (length <= least || length > 300) return undefined
  return {
    shown: characters.slice(0, least).join(''),
    createPattern() {
      const forms = characters.map((character) => `(?:${[...listForms(character)].join('|')})`)
      const rest = forms.slice(least).reduceRight((tail, form) => `(?:${form}${tail})?`, '')
      return new RegExp(`${forms.slice(0, least).join('')}${rest}(?=…|\\.\\.\\.|$)`, 'gu')
    },
  }
}

/** A quote or backslash may be doubled, up to three times where one text is inside of another. */
const MAX_DOUBLED = 8

/** The patterns of the characters of a secret, those of a run of the same character together. */
function describeForms(secret: string): string[] {
  const runs = secret.match(/(.)\1*/gsu) ?? []
  return runs.map((run) => {
    const characters = [...run]
    const [character = ''] = characters
    const least = characters.length
    // Bounded, and a run as one: otherwise a long run of quotes in a text would take for ever.
    const most = /['"\\]/.test(character) ? least * MAX_DOUBLED : least
    return `(?:${[...listForms(character)].join('|')}){${least},${most}}`
  })
}

const JSON_NAMES: Readonly<Record<string, string>> = {
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
  '\b': 'b',
  '\f': 'f',
}

const HTML_NAMES: Readonly<Record<string, string>> = {
  '&': 'amp',
  '<': 'lt',
  '>': 'gt',
  '"': 'quot',
  "'": 'apos',
}

/** A character as it is, percent-encoded in any case, and escaped as in JSON, SQL and HTML. */
function* listForms(character: string): Generator<string> {
  yield /['"/]/.test(character)
    ? `\\\\{0,8}${character === '/' ? '\\/' : character}`
    : quote(character)
  yield [...Buffer.from(character)].map((byte) => `%${anyCase(hex(byte, 2))}`).join('')
  if (/[a-z0-9]/i.test(character)) return
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
  yield units.map((unit) => `\\\\{1,8}u${anyCase(hex(unit, 4))}`).join('')
  if (character === ' ') yield '\\+'
  const json = JSON_NAMES[character]
  if (json !== undefined) yield `\\\\{1,8}${json}`
  const html = HTML_NAMES[character]
  if (html !== undefined) {
    const code = character.charCodeAt(0)
    yield `&(?:${html}|#0*${code}|#[xX]0*${anyCase(hex(code, 2))});`
  }
}

function quote(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

function anyCase(text: string): string {
  return text.replace(/[a-f]/g, (letter) => `[${letter}${letter.toUpperCase()}]`)
}
