import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { SERVICE } from '../src/version.ts'

test("the service's name and version are package.json's", async (t) => {
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'))

  t.strictSame(SERVICE, { name, version })
})
