import { createRequire } from 'node:module'
import { test } from 'tap'

const require = createRequire(import.meta.url)
const original = require('../../node_modules/pg/lib/crypto/utils.js')
const ours = require('../../scripts/bundle/pg-crypto-utils.cjs')

/** Arguments as a login passes them; a password and a salt may be of any bytes. */
const CALLS: Readonly<Record<string, readonly unknown[]>> = {
  postgresMd5PasswordHash: ['user', 'päss wörd', Buffer.from([0, 255, 1, 128])],
  md5: ['päss'],
  sha256: [Buffer.from('client key')],
  hashByName: ['SHA-384', Buffer.from('a certificate')],
  hmacSha256: [Buffer.from('key'), 'n=*,r=nönce'],
  deriveKey: ['päss wörd', Buffer.from([0, 255, 1, 128]), 4096],
}

test('the bundle logs in with all the functions that pg has for it', async (t) => {
  t.strictSame(Object.keys(ours).sort(), Object.keys(original).sort())
  t.strictSame(
    Object.keys(CALLS).sort(),
    Object.keys(ours)
      .filter((name) => name !== 'randomBytes')
      .sort(),
  )
})

for (const [name, args] of Object.entries(CALLS)) {
  test(`${name} gives what that of pg gives`, async (t) => {
    const toText = (value: string | ArrayBuffer) =>
      typeof value === 'string' ? value : Buffer.from(value).toString('hex')

    t.equal(toText(await ours[name](...args)), toText(await original[name](...args)))
  })
}

test('a nonce has as many random bytes as were asked for', async (t) => {
  t.equal(ours.randomBytes(18).length, 18)
  t.not(ours.randomBytes(18).toString('hex'), ours.randomBytes(18).toString('hex'))
})
