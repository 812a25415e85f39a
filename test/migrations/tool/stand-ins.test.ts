import fc from 'fast-check'
import { test } from 'tap'
import { compareNumbersByCode } from '../../../src/migrations/tool/stand-ins.ts'

test('file names of numbers are sorted as by the rules of English', async (t) => {
  const { compare } = new Intl.Collator('en')
  const compareByCode = (one: string, other: string, language = 'en') =>
    compareNumbersByCode.call(one, other, language)
  const name = fc
    .string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 8 })
    .map((digits) => `${digits}.sql`)

  fc.assert(
    fc.property(name, name, (one, other) => compareByCode(one, other) === compare(one, other)),
    { numRuns: 2000 },
  )
  t.equal(compareByCode('000001.sql', '000001.sql'), 0)
  t.equal(compareByCode('a', 'B'), -1, 'anything else is compared as before')
  t.equal(compareByCode('ä', 'z', 'sv'), 1)
})
