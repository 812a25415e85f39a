import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { ERROR_CODES } from '../../src/errors/codes.ts'

const page = readFileSync('docs/error-codes.md', 'utf8')
const listed = [...page.matchAll(/^\| `([a-z_]+)`/gm)].map(([, code]) => code ?? '')

test('the page lists every code, each once', async (t) => {
  for (const code of Object.keys(ERROR_CODES)) t.ok(listed.includes(code), code)
  t.equal(new Set(listed).size, listed.length)
})
