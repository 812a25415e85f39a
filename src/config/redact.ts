import { createSecretPattern, cutSecret } from './secret-pattern.ts'
import { listSecretTexts } from './secrets.ts'

/** The settings that hold secrets. */
export interface SecretSettings {
  readonly databaseUrl?: string | undefined
  readonly shadowDatabaseUrl?: string | undefined
  readonly rootDatabaseUrl?: string | undefined
  readonly resetToken?: string | undefined
  readonly testDatabasesToken?: string | undefined
  /** Those that are learned later. */
  readonly secrets: Iterable<string> & { readonly size: number }
}

/** Returns a function that replaces every secret in a text, also those that are learned later. */
export function createMask(settings: SecretSettings): (text: string) => string {
  let hideEach: readonly Hide[] = []
  let learned = -1
  return (text) => {
    if (learned !== settings.secrets.size) {
      learned = settings.secrets.size
      hideEach = listHides(settings)
    }
    const masked = hideEach.reduce((rest, hide) => hide(rest), text)
    return maskPasswords(masked)
  }
}

/** Masks what looks like a password wherever it came from: a migration's line may hold one, too. */
export function maskPasswords(text: string): string {
  const withoutUrls = text.includes('://')
    ? text.replace(/(:\/\/[^\s/:"'?]*:)(?!PASSWORD@)[^\s/"']*@/g, '$1[hidden]@')
    : text
  if (!/password/i.test(withoutUrls)) return withoutUrls
  return withoutUrls
    .replace(/\b(password\s*=?\s*)E?'(?:[^']|'')*(?:'|$)/gi, "$1'[hidden]'")
    .replace(/\b(password["']?\s*[:=]\s*)"(?:[^"\\]|\\.)*(?:"|$)/gi, '$1"[hidden]"')
    .replace(/([?&;\s]|^)((?:ssl)?password=)(?!'?\[hidden\])[^\s&"']+/gi, '$1$2[hidden]')
}

/** Members whose values come from the service itself; masking them would break their readers. */
const FIXED = new Set([
  'level',
  'time',
  'status',
  'reason',
  'state',
  'code',
  'type',
  'title',
  'kind',
])

/** Masks every text inside a value, but not the keys: a response keeps its structure. */
export function maskTexts(value: unknown, mask: (text: string) => string): unknown {
  if (typeof value === 'string') return mask(value)
  if (Array.isArray(value)) return value.map((item) => maskTexts(item, mask))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      FIXED.has(key) && isWord(item) ? item : maskTexts(item, mask),
    ]),
  )
}

/** Masks the texts of a line of JSON: a number, a key or a quote stays, whatever the secrets are. */
export function maskLine(line: string, mask: (text: string) => string): string {
  try {
    return `${JSON.stringify(maskTexts(JSON.parse(line), mask))}\n`
  } catch {
    return mask(line)
  }
}

/** An identifier, a number or a time: not a text in which a secret may stand. */
function isWord(value: unknown): boolean {
  return typeof value === 'string' && /^[\w .:-]{1,40}$/.test(value)
}

/** Hides one secret in a text. */
type Hide = (text: string) => string

/** Any form of a secret has one of these characters, but for the secret itself. */
const ENCODED = /[%\\&+'"]/

/** To compile a pattern takes longer than to log a line, and most lines need none. */
function createHide(secret: string, createPattern: () => RegExp): Hide {
  let pattern: RegExp | undefined
  return (text) => {
    if (!ENCODED.test(text) && !text.includes(secret)) return text
    pattern ??= createPattern()
    return text.replace(pattern, '[hidden]')
  }
}

function listHides({ secrets, ...settings }: SecretSettings): Hide[] {
  const { databaseUrl, shadowDatabaseUrl, rootDatabaseUrl } = settings
  const { resetToken, testDatabasesToken } = settings
  const urls = [databaseUrl, shadowDatabaseUrl, rootDatabaseUrl]
  const given = [...urls, resetToken, testDatabasesToken, ...secrets]
  const found = [...new Set(given)].flatMap((one) => (one ? [...listSecretTexts(one)] : []))
  const unique = new Map(found.map((secret) => [JSON.stringify(secret), secret]))
  // The longest first: one secret may contain another, as a connection string does its password.
  const sorted = [...unique.values()].sort((a, b) => b.text.length - a.text.length)
  return [
    ...sorted.map(({ text, match }) => createHide(text, () => createSecretPattern(text, match))),
    ...sorted.flatMap(({ text, match }) => {
      // A connection string begins with nothing secret.
      const cut = match === 'anywhere' && !text.includes('://') ? cutSecret(text) : undefined
      return cut ? createHide(cut.shown, cut.createPattern) : []
    }),
  ]
}
