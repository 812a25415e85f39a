import { test } from 'tap'
import { findLeaks } from './leaks.ts'
import { startService } from './service.ts'

/** Prints, as a service that leaks does, the password of its DATABASE_URL in one form. */
const FORMS: Readonly<Record<string, string>> = {
  plain: 'password',
  'percent-encoded': 'encodeURIComponent(password)',
  'percent-encoded in lower case':
    'encodeURIComponent(password).replace(/%../g, (c) => c.toLowerCase())',
  'SQL-quoted': 'password.replaceAll("\'", "\'\'")',
  'escaped in JSON': 'JSON.stringify(password)',
}
for (const [what, expression] of Object.entries(FORMS)) {
  test(`a planted leak fails the test of the service (${what})`, async (t) => {
    const script = `
      const password = decodeURIComponent(new URL(process.env.DATABASE_URL).password)
      console.error('it is ' + ${expression})`
    const works: (() => void)[] = []
    const world = { teardown: (work: () => void) => works.push(work) }
    const env = { DATABASE_URL: 'postgres://bus@db/bus' }

    const service = startService(world, env, [process.execPath, '--eval', script])
    await service.ended

    t.throws(() => works.forEach((work) => void work()), /showed 1 of its secrets/)
  })
}

test('a text without secrets has no leaks', async (t) => {
  t.same(findLeaks('[hidden] and others', ['a-secret-of-some-length', '']), [])
})
