import { test } from 'tap'
import { loadConfig } from '../../src/config/config.ts'
import { createMask } from '../../src/config/redact.ts'

function maskFor(url: string): (text: string) => string {
  return createMask(loadConfig({ DATABASE_URL: url, RESET_TOKEN: 'a-token-of-16-characters' }))
}

test('connection strings, passwords in both forms and the token are masked', async (t) => {
  const url = 'postgres://bus:p%40ss%22word@db/bus'
  const mask = maskFor(url)

  for (const secret of [url, 'p%40ss%22word', 'p@ss"word', 'a-token-of-16-characters']) {
    t.notMatch(mask(`it is ${secret}.`), secret)
    t.notMatch(JSON.parse(mask(JSON.stringify({ secret }))).secret, secret)
  }
})

test('a secret that contains another one is masked completely', async (t) => {
  const mask = createMask(
    loadConfig({
      DATABASE_URL: 'postgres://bus:the-token-of-16-characters-and-more@db/bus',
      RESET_TOKEN: 'the-token-of-16-characters',
    }),
  )

  t.equal(mask('it is the-token-of-16-characters-and-more.'), 'it is [hidden].')
})

test('a password given as a parameter is masked', async (t) => {
  const mask = maskFor('postgres://bus@db/bus?password=hunter2hunter2')

  t.notMatch(mask('hunter2hunter2'), 'hunter2')
})

test('a password that is also the user, the host or the database stays readable', async (t) => {
  const mask = maskFor('postgres://postgres:postgres@postgres/commandbus')

  t.equal(mask('waiting for postgres'), 'waiting for postgres')
  t.notMatch(mask('postgres://postgres:postgres@postgres/commandbus'), 'postgres:postgres')
})

test('a short password is masked only where it is a whole word', async (t) => {
  for (const password of ['bus!', 'pw', 'a.b', 'a-b/', '5', '22', 'p"w']) {
    const mask = maskFor(`postgres://user:${encodeURIComponent(password)}@db/commandbus`)
    const line = JSON.stringify({
      level: 'info',
      time: '2026-11-22T22:22:22.522Z',
      pw: 1,
      durationMs: 5,
      pid: 22,
      msg: 'spawned a.bc',
    })

    t.equal(mask(line), line, password)
    const masked = JSON.parse(mask(JSON.stringify({ text: `it is ${password}, or (${password})` })))
    t.equal(masked.text, 'it is [hidden], or ([hidden])')
  }
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
