import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Test } from 'tap'

const UPDATE = 'UPDATE_GOLDEN=1 npx tap test/reset/function/golden.test.ts'

/** Compares a text with the file beside this one, or writes the file where UPDATE_GOLDEN is set. */
export function matchGolden(t: Test, fileName: string, text: string): void {
  const file = new URL(fileName, import.meta.url)
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, text)
  const golden = existsSync(file) ? readFileSync(file, 'utf8') : ''
  t.equal(text, golden, `${fileName} is current; after a change that is meant, run: ${UPDATE}`)
}
