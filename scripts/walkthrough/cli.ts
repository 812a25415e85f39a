// npm run docs:walkthrough: makes one change in a throw-away clone, and writes what the terminal showed into the pages.
// It needs git, util-linux's `script` and a build (npm run build).
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PAGES, replaceBlock } from './pages.ts'
import { record } from './record.ts'

const root = join(import.meta.dirname, '..', '..')
const recordings = await record()
for (const { path, name } of PAGES) {
  const file = join(root, path)
  writeFileSync(file, replaceBlock(readFileSync(file, 'utf8'), name, recordings[name]))
  process.stdout.write(`wrote the recording in ${path}\n`)
}
