import { test } from 'tap'
import { calculateHash } from '../../../src/migrations/files/hash.ts'
import { calculateHash as calculateHashOfTool } from '../../support/migrations-folder.ts'

test('a hash is the SHA-1 of the previous hash, a line feed and the body', async (t) => {
  // printf 'select 1;\n' | sha1sum
  t.equal(calculateHash('select 1;\n', null), 'sha1:005c6eb7364156e6b0d158d8b2767a24f1ce6611')
  // printf 'sha1:abc\nselect 1;\n' | sha1sum
  t.equal(calculateHash('select 1;\n', 'sha1:abc'), 'sha1:aead65df25aab4058bdc011b80a8055b558bc8c0')
})

test("hashes are graphile-migrate's, whatever surrounds the text", async (t) => {
  for (const body of [
    '',
    '\n',
    ' select 1; ',
    '\n\nselect 1;\n\n',
    "select 'a\r\nb';\r\n",
    'é😀',
  ]) {
    for (const previousHash of [null, 'sha1:abc']) {
      t.equal(
        calculateHash(body, previousHash),
        calculateHashOfTool(body, previousHash),
        JSON.stringify([body, previousHash]),
      )
    }
  }
})
