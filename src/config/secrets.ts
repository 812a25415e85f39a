import type { Match } from './secret-pattern.ts'

/** A text that must not be shown, and how it is recognized. */
export interface Secret {
  readonly text: string
  readonly match: Match
}

/** Lists a secret and, where it is a connection string, every password that any reader may see in it. */
export function* listSecretTexts(secret: string): Generator<Secret> {
  yield { text: secret, match: 'anywhere' }
  const start = secret.indexOf('://')
  if (start < 0) return
  const { candidates, words } = splitUrl(secret.slice(start + 3))
  for (const text of new Set(candidates.flatMap(listDecoded))) {
    if (text !== '') yield { text, match: chooseMatch(text, words) }
  }
}

/** A word that the URL shows elsewhere, as postgres:postgres@postgres does, has to stay readable. */
function chooseMatch(text: string, words: readonly string[]): Match {
  if (words.includes(text)) return 'password'
  return words.some((word) => word.includes(text)) ? 'word' : 'anywhere'
}

/** Splits what follows `//` into everything that may be a password, and the other words. */
function splitUrl(rest: string): { candidates: string[]; words: string[] } {
  const candidates: string[] = []
  const colon = rest.indexOf(':')
  // Readers disagree on which `@` ends the password: a user, a password or a parameter may hold one.
  for (
    let at = rest.indexOf('@', colon + 1);
    at > 0 && colon >= 0;
    at = rest.indexOf('@', at + 1)
  ) {
    candidates.push(rest.slice(colon + 1, at))
  }
  const user = colon < 0 ? '' : rest.slice(0, colon)
  const [address = '', ...queries] = rest.slice(rest.indexOf('@', colon + 1) + 1).split('?')
  const words = [user, ...splitWords(address)]
  for (const parameter of queries.join('?').split('&')) {
    const [name = '', ...values] = parameter.split('=')
    const value = values.join('=')
    if (!isSecretName(lenientDecode(name))) words.push(value)
    // A `#` begins the fragment for some readers only.
    else candidates.push(value, value.split('#')[0] ?? '')
  }
  return { candidates, words: words.filter((word) => word !== '').flatMap(listDecoded) }
}

/** The hosts, ports and the database of `h1:5432,h2:5432/database`. */
function splitWords(address: string): string[] {
  return address.split(/[/,:@]/)
}

/** Whether a setting or parameter of this name holds a secret. */
export function isSecretName(name: string): boolean {
  return /passw|pwd|secret|token/i.test(name)
}

/** As it is, decoded, and decoded as a form: `+` for a blank. */
function listDecoded(text: string): string[] {
  return [text, lenientDecode(text), lenientDecode(text.replaceAll('+', ' '))]
}

/** Decodes what can be decoded: `100%` in a password stays. */
function lenientDecode(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded)
    } catch {
      return encoded
    }
  })
}
