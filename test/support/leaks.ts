// Every service that the suite starts gets a password that is hard to mask, logs at the lowest level,
// and fails its test if anything that it prints or answers shows a secret.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** Adds a password to a connection string without one: the test server accepts any. */
export function addPassword(url: string): string {
  const password = `p@ss 'w"o\\rd%/+ä-${randomBytes(6).toString('hex')}`
  return url.replace(/^(postgres(?:ql)?:\/\/[^:@/]+)@/, `$1:${encodeURIComponent(password)}@`)
}

/** The secrets in the environment of a service. */
export function listGivenSecrets(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).flatMap(([name, value]) => {
    if (!/(URL|TOKEN|PASSWORD)(_FILE)?$/.test(name)) return []
    const secret = name.endsWith('_FILE') ? readIfThere(value) : value
    const password = /^\w+:\/\/[^:@/]*:([^@]*)@/.exec(secret)?.[1]
    return password === undefined ? secret : password
  })
}

/** The secrets that a text shows, in plain, percent-encoded, SQL-quoted or escaped form. */
export function findLeaks(text: string, secrets: readonly string[]): string[] {
  // A shorter one may be a part of any word.
  return secrets.filter(
    (secret) => secret.length >= 8 && listForms(secret).some((form) => text.includes(form)),
  )
}

function listForms(secret: string): string[] {
  const plain = decode(secret)
  const encoded = encodeURIComponent(plain)
  const forms = [secret, plain, encoded, encoded.replace(/%../g, (code) => code.toLowerCase())]
  const quoted = [plain.replaceAll("'", "''"), encoded.replaceAll('%20', '+')]
  return [...forms, ...quoted].flatMap((form) => [form, JSON.stringify(form).slice(1, -1)])
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd()
  } catch {
    return ''
  }
}
