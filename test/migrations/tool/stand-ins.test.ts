import fc from 'fast-check'
import { test } from 'tap'
import { compareNumbersByCode } from '../../../src/migrations/tool/stand-ins.ts'

test('file names of numbers are sorted as by the rules of English', async (t) => {
  const original = Object.getOwnPropertyDescriptor(String.prototype, 'localeCompare')
  const { compare } = new Intl.Collator('en')
  compareNumbersByCode()
  t.teardown(() => Object.defineProperty(String.prototype, 'localeCompare', { ...original }))
  const name = fc
    .string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 8 })
    .map((digits) => `${digits}.sql`)

  fc.assert(
    fc.property(name, name, (one, other) => one.localeCompare(other, 'en') === compare(one, other)),
    { numRuns: 2000 },
  )
  t.equal('000001.sql'.localeCompare('000001.sql', 'en'), 0)
  t.equal('a'.localeCompare('B', 'en'), -1, 'anything else is compared as before')
  t.equal('ä'.localeCompare('z', 'sv'), 1)
})
