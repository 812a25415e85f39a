import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'tap'
import { listProjectFiles, readProjectFile, root } from './support/files.ts'

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['bench', 'client', 'deploy', 'docs', 'embedded', 'examples', 'migrations', 'test'].flatMap(
    (folder) => listProjectFiles(folder, '.md'),
  ),
]
const scripts = Object.keys(
  (JSON.parse(readProjectFile('package.json')) as { scripts: Record<string, string> }).scripts,
)

test('every script that the documentation names exists', async (t) => {
  for (const page of pages) {
    for (const [, name = ''] of readProjectFile(page).matchAll(/\bnpm run ([a-z][\w:-]*)/g)) {
      t.ok(scripts.includes(name), `${page}: npm run ${name}`)
    }
  }
})

test('every script has its line in CONTRIBUTING.md', async (t) => {
  const lifecycle = ['prepare', 'pretest', 'prepack']
  for (const script of scripts.filter((name) => !lifecycle.includes(name))) {
    const command = ['start', 'test'].includes(script) ? `npm ${script}` : `npm run ${script}`
    t.match(readProjectFile('CONTRIBUTING.md'), command)
  }
})

test('every link inside the documentation leads somewhere', async (t) => {
  for (const page of pages) {
    for (const [, target = ''] of readProjectFile(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:|^#/.test(target)) continue
      const path = normalize(join(dirname(page), target.replace(/#.*/, '')))
      t.ok(existsSync(join(root, path)), `${page} links to ${path}`)
    }
  }
})

test('every decision stands in the list of decisions', async (t) => {
  const list = readProjectFile('docs/decisions/README.md')
  for (const page of listProjectFiles('docs/decisions', '.md')) {
    const name = relative('docs/decisions', page)
    if (name !== 'README.md') t.ok(list.includes(`](${name})`), name)
  }
})
