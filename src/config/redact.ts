import type { Config } from './config.ts'

/** A shorter secret is masked only where it is a whole word: it may be part of ordinary words. */
const MIN_PART_LENGTH = 6

/** Returns a function that replaces every secret in a text, also those that are learned later. */
export function createMask(config: Config): (text: string) => string {
  let patterns: readonly RegExp[] = []
  let learned = -1
  return (text) => {
    if (learned !== config.secrets.size) {
      learned = config.secrets.size
      patterns = createPatterns(config)
    }
    return patterns.reduce((masked, pattern) => masked.replace(pattern, '[hidden]'), text)
  }
}

function createPatterns(config: Config): RegExp[] {
  return (
    [...new Set(listSecrets(config))]
      // The longest first: one secret may contain another, as a connection string does its password.
      .sort((a, b) => b.length - a.length)
      // As it is, and as it is escaped in a line of JSON.
      .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
      .map(createPattern)
  )
}

/** What a short secret must not touch: letters, and the keys, numbers and times of a JSON line. */
const BEFORE = /(?<![\p{L}\p{N}_]|":|\d[-:.](?=\d))/u.source
const AFTER = /(?![\p{L}\p{N}_]|":|(?<=\d)[-:.]\d)/u.source

function createPattern(secret: string): RegExp {
  const exact = secret.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  return secret.length < MIN_PART_LENGTH
    ? new RegExp(BEFORE + exact + AFTER, 'gu')
    : new RegExp(exact, 'g')
}

/** Masks every text inside a value, but not the keys: a response keeps its structure. */
export function maskTexts(value: unknown, mask: (text: string) => string): unknown {
  if (typeof value === 'string') return mask(value)
  if (Array.isArray(value)) return value.map((item) => maskTexts(item, mask))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, maskTexts(item, mask)]),
  )
}

function* listSecrets(config: Config): Generator<string> {
  if (config.resetToken !== undefined) yield config.resetToken
  const urls = [config.databaseUrl, config.shadowDatabaseUrl, config.rootDatabaseUrl]
  for (const secret of [...urls, ...config.secrets]) {
    if (secret === undefined) continue
    yield secret
    yield* listPasswords(secret)
  }
}

/** Both encoded and decoded, unless the same word is in the rest of the URL, as in a:a@a:5432/a. */
function* listPasswords(url: string): Generator<string> {
  const encoded = /^[^:]+:\/\/[^:@/]*:(.*)@/.exec(url)?.[1]
  const asParameter = /[?&]password=([^&]*)/.exec(url)?.[1]
  for (const password of [encoded, asParameter]) {
    if (!password) continue
    const words = url.replace(`:${password}@`, '@').replace(`password=${password}`, '')
    for (const form of [password, decode(password)]) {
      if (!createPattern(form).test(words)) yield form
    }
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
