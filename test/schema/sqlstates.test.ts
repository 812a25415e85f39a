import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { projectDir } from '../support/server.ts'

/** Every file with that ending below a folder, as one text. */
function textOf(folder: string, ending: string): string {
  return readdirSync(join(projectDir, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending) && !file.endsWith('sqlstates.test.ts'))
    .map((file) => readFileSync(join(projectDir, folder, file), 'utf8'))
    .join('\n')
}

const documented = [
  ...readFileSync(join(projectDir, 'docs/operate/error-codes.md'), 'utf8').matchAll(
    /^\| ([0-9A-Z]{5}) \| (\w*) *\| /gm,
  ),
].map((match) => ({ code: match[1] as string, condition: match[2] || (match[1] as string) }))

test('the SQLSTATEs documented are those that the functions and migrations raise', async (t) => {
  const sql = textOf('migrations/committed', '.sql')
  const raised = [...sql.matchAll(/errcode = '(\w+)'/g)].map((match) => match[1] as string)

  t.strictSame(documented.map((entry) => entry.condition).sort(), [...new Set(raised)].sort())
})

test('each SQLSTATE documented is raised by a test', async (t) => {
  const tests = textOf('test/schema', '.test.ts')

  for (const { code } of documented) {
    // Raised inside a function only: its tests check that the locks are released.
    if (code === 'KBUND') continue
    t.ok(tests.includes(`'${code}'`), code)
  }
})
