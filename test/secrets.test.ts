import { test } from 'tap'
import { loadConfig } from '../src/config.ts'
import { createMask } from '../src/secrets.ts'

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

test('a password given as a parameter is masked', async (t) => {
  const mask = maskFor('postgres://bus@db/bus?password=hunter2hunter2')

  t.notMatch(mask('hunter2hunter2'), 'hunter2')
})

test('a password that is also the user, the host or the database is left readable', async (t) => {
  const mask = maskFor('postgres://postgres:postgres@postgres/commandbus')

  t.equal(mask('waiting for postgres'), 'waiting for postgres')
  t.notMatch(mask('postgres://postgres:postgres@postgres/commandbus'), 'postgres:postgres')
})
