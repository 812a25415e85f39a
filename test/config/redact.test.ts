import fc from 'fast-check'
import { test } from 'tap'
import { loadConfig } from '../../src/config/config.ts'
import { LearnedSecrets } from '../../src/config/learned-secrets.ts'
import { createMask, maskLine } from '../../src/config/redact.ts'

type Mask = (text: string) => string

function maskFor(url: string): Mask {
  return createMask({ databaseUrl: url, secrets: new LearnedSecrets() })
}

/** Each way in which an output may write a text. */
const FORMS: Readonly<Record<string, (text: string) => string>> = {
  'as it is': (text) => text,
  'percent-encoded': encodeURIComponent,
  'percent-encoded in lower case': (text) =>
    encodeURIComponent(text).replace(/%../g, (code) => code.toLowerCase()),
  'every byte percent-encoded': (text) =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  'encoded as a form': (text) => new URLSearchParams({ a: text }).toString().slice(2),
  'SQL-quoted': (text) => text.replaceAll("'", "''"),
  'SQL-quoted twice': (text) => text.replaceAll("'", "''''"),
  'quoted as an identifier': (text) => text.replaceAll('"', '""'),
  'escaped with backslashes': (text) => text.replace(/['\\]/g, '\\$&'),
  JSON: (text) => JSON.stringify(text).slice(1, -1),
  'JSON inside of JSON': (text) => JSON.stringify(JSON.stringify(text).slice(1, -1)).slice(1, -1),
  'JSON in ASCII': (text) =>
    text.replace(/[^a-z0-9]/gi, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
  HTML: (text) =>
    text.replace(
      /[&<>"']/g,
      (c) => `&${{ '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' }[c] ?? '#39'};`,
    ),
}

const PASSWORD = fc.string({ unit: 'grapheme', minLength: 6, maxLength: 24 })

test('no password is shown, whatever its characters and however an output writes it', async (t) => {
  const given = fc.constantFrom(
    (text: string) => `postgres://u:${encodeURIComponent(text)}@h/d`,
    (text: string) => `postgres://u@h/d?password=${encodeURIComponent(text)}&x=y`,
    (text: string) => text,
  )
  const property = fc.property(
    PASSWORD,
    given,
    fc.constantFrom(...Object.keys(FORMS)),
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'grapheme' }),
    (password, give, form, before, after) => {
      fc.pre(!'[hidden]'.includes(password) && !(before + after).includes(password))
      const shown = FORMS[form]?.(password) ?? ''
      const secrets = new LearnedSecrets()
      secrets.add(give(password))
      const mask = createMask({ secrets })
      const line = `${JSON.stringify({ level: 'info', text: before + shown + after })}\n`

      const masked = JSON.parse(maskLine(line, mask)).text
      return !masked.includes(shown) && !mask(before + shown + after).includes(shown)
    },
  )
  // A failure prints the seed that repeats it.
  t.doesNotThrow(() => fc.assert(property, { numRuns: 150 }))
})

/** A URL, and what must not be shown although the URL is unusual. */
const URLS: readonly (readonly [string, ...string[]])[] = [
  ['postgres://bus:p%40ss%22word@db/bus', 'p%40ss%22word', 'p@ss"word'],
  ['postgres://bus:hunter2@db/bus?application_name=a@b', 'hunter2'],
  ['postgres://dev@x:hunter2@db/bus', 'hunter2'],
  ['postgres://bus:pa@ss:w@db/bus', 'pa@ss:w'],
  ['postgres://bus:pa/ss?w#rd@db/bus', 'pa/ss?w#rd'],
  ['postgres://bus:first1@db/bus?password=second2', 'first1', 'second2'],
  ['postgres://bus@db/bus?password=first1&password=second2', 'first1', 'second2'],
  ['postgres://bus@db/bus?pass%77ord=hunter2', 'hunter2'],
  ['postgres://bus@db/bus?sslpassword=hunter2', 'hunter2'],
  ['postgres://bus@db/bus?password=a+bc+de', 'a bc de', 'a+bc+de', 'a%20bc%20de'],
  ['postgres://bus:100%25-sure%@db/bus', '100%-sure%'],
  ['postgres://bus:%c3%a4%C3%B6long@db/bus', 'äölong', '%C3%A4%c3%b6long'],
  ['postgres://bus:hunter2@h1:5432,h2:5432/bus?target_session_attrs=read-write', 'hunter2'],
  ["postgres://bus:o'clock'@db/bus", "o'clock'", "o''clock''"],
  // Part of a longer word in the rest of the URL.
  ['postgres://bus:secret@db/my_secret_db', 'secret'],
]
for (const [url, ...secrets] of URLS) {
  test(`what is secret in ${url} is masked`, async (t) => {
    const mask = maskFor(url)

    for (const secret of [url, ...secrets]) {
      t.notOk(mask(`it is ${secret}, or (${secret})`).includes(secret), secret)
      const error = { level: 'fatal', err: { stack: `Error: ${secret}\n    at ${secret}` } }
      t.notOk(JSON.parse(maskLine(JSON.stringify(error), mask)).err.stack.includes(secret), secret)
    }
  })
}

test('a secret that contains another one is masked completely', async (t) => {
  const mask = createMask(
    loadConfig({
      DATABASE_URL: 'postgres://bus:the-token-of-16-characters-and-more@db/bus',
      RESET_TOKEN: 'the-token-of-16-characters',
    }),
  )

  t.equal(mask('it is the-token-of-16-characters-and-more.'), 'it is [hidden].')
})

test('a text that was cut off inside of a secret does not show the first part', async (t) => {
  const mask = maskFor('postgres://bus:correct-horse-battery@db/bus')

  t.equal(mask('it is correct-horse-bat…'), 'it is [hidden]…')
  t.equal(mask('it is correct-horse-bat'), 'it is [hidden]')
  t.equal(mask('a correct-horse-bat is a bat'), 'a correct-horse-bat is a bat')
})

test('a password that is also the user, the host or the database stays readable', async (t) => {
  const mask = maskFor('postgres://bus:bus@bus/commandbus')

  t.equal(mask('waiting for bus'), 'waiting for bus')
  t.notMatch(mask('postgres://bus:bus@bus/commandbus'), 'bus:bus')
  t.notMatch(mask('postgres://bus:bus@other/commandbus'), 'bus:bus')
  t.equal(mask("alter role bus password 'bus'"), "alter role bus password '[hidden]'")
})

test('a short password is masked only where it is a whole word, and JSON stays what it is', async (t) => {
  for (const password of ['bus!', 'pw', 'a.b', 'a-b/', '5', '22', 'p"w', ':', '","', 'info']) {
    const mask = maskFor(`postgres://user:${encodeURIComponent(password)}@db/commandbus`)
    const line = `${JSON.stringify({
      level: 'info',
      time: '2026-11-22T22:22:22.522Z',
      pw: 1,
      durationMs: 5,
      list: [5, 22, true],
      pid: 22,
      msg: 'spawned a.bc',
    })}\n`

    t.equal(maskLine(line, mask), line, password)
    t.equal(mask(`it is ${password}, or (${password})`), 'it is [hidden], or ([hidden])')
  }
  t.equal(
    maskFor('postgres://user:22@db/d')('2026-11-22T22:22:22.522Z'),
    '2026-11-22T22:22:22.522Z',
  )
})

test('the words of the service stay, although a password is the same', async (t) => {
  const mask = maskFor('postgres://user:migration_failed@db/d')
  const line = `${JSON.stringify({ level: 'error', code: 'migration_failed', msg: 'exiting' })}\n`

  t.equal(maskLine(line, mask), line)
})

test('passwords that are in no setting are masked where they look like one', async (t) => {
  const mask = createMask({ secrets: new LearnedSecrets() })

  for (const text of [
    "select dblink('postgres://app:hunter2@other/db')",
    "create role app login password 'hunter2'",
    "create role app password E'it''s hunter2' valid until 'infinity'",
    "create role app password 'hunter2",
    'host=db password=hunter2 user=app',
    '{"user":"app","password":"hunter2"}',
    'postgres://app@other/db?password=hunter2',
  ]) {
    t.notMatch(mask(text), 'hunter2', text)
  }
  for (const text of [
    'expected postgres://USER:PASSWORD@HOST:PORT/DATABASE',
    'password authentication failed for user "app"',
    'listening at http://127.0.0.1:8080',
    'see http://[::1]:8080/status and a@b',
  ]) {
    t.equal(mask(text), text)
  }
})

test('masking takes a time that grows with the text only, whatever the secret', async (t) => {
  const secret = `${'\\'.repeat(20)}'${'"'.repeat(20)}${"'".repeat(20)}x`
  const mask = createMask({ secrets: new LearnedSecrets(), resetToken: secret })
  const text = '\\\'"'.repeat(10_000) + '\\'.repeat(10_000) + "'".repeat(10_000)

  // Exponential matching would never end.
  t.equal(mask(text).length, text.length)
})

test('a secret that is learned later is masked from then on, a URL with its password', async (t) => {
  const config = loadConfig({})
  const mask = createMask(config)
  t.equal(mask('it is rotated-password.'), 'it is rotated-password.')

  config.secrets.add('')
  config.secrets.add('rotated-password')
  config.secrets.add('postgres://bus:p%40ssword@db/bus')

  t.equal(mask('it is rotated-password.'), 'it is [hidden].')
  t.equal(mask('p@ssword and p%40ssword'), '[hidden] and [hidden]')
})
