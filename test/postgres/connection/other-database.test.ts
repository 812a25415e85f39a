import { test } from 'tap'
import { urlOfDatabase } from '../../../src/postgres/connection/other-database.ts'
import { parseConnectionUrl } from '../../../src/postgres/connection/url.ts'

const ADDRESS = { host: 'db.example', port: 6432 }

const URLS = [
  ['postgres://bus:secret@db:5432/bus', 'postgres://bus:secret@db:5432/other'],
  ['postgresql://bus@db/bus?sslmode=disable', 'postgresql://bus@db/other?sslmode=disable'],
  ['postgres://bus:p@ss%2Fw@db/bus', 'postgres://bus:p%40ss%2Fw@db/other'],
  ['postgres://h1:1,h2:2/bus?user=bus&password=x%26y', 'postgres://bus:x%26y@h1:1,h2:2/other'],
  ['postgres://bus@/bus?host=/run/pg&dbname=bus', 'postgres://bus@/other?host=/run/pg'],
] as const

for (const [given, expected] of URLS) {
  test(`the URL of another database: ${expected}`, async (t) => {
    const found = urlOfDatabase(given, 'other')

    t.equal(found, expected)
    const { database, ...rest } = parseConnectionUrl(found)
    const { database: _, ...givenRest } = parseConnectionUrl(given)
    t.equal(database, 'other')
    t.strictSame(rest, givenRest, 'nothing else is different')
  })
}

test('the URL of another database at another address has only that one', async (t) => {
  const found = urlOfDatabase('postgres://bus:x@h1,h2:5/bus?port=7&sslmode=require', 'a/b', ADDRESS)

  t.equal(found, 'postgres://bus:x@db.example:6432/a%2Fb?sslmode=require')
  const ipv6 = urlOfDatabase('postgres://bus@db/bus', 'b', { host: '::1', port: 5432 })
  t.equal(ipv6, 'postgres://bus@[::1]:5432/b')
})
