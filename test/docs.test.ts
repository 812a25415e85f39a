import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'tap'
import { loadConfig } from '../src/config/config.ts'
import { createTestApp } from './support/app.ts'
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
  const list = readProjectFile('docs/internals/decisions/README.md')
  for (const page of listProjectFiles('docs/internals/decisions', '.md')) {
    const name = relative('docs/internals/decisions', page)
    if (name !== 'README.md') t.ok(list.includes(`](${name})`), name)
  }
})

/** What stands between backquotes in the first column of the README's table below `heading`. */
function firstColumn(heading: string): string[] {
  const section =
    readProjectFile('README.md').split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)])
    .map((match) => match[1] ?? '')
    .sort()
}

test('the README lists the settings that are read, and no other', async (t) => {
  const asked = new Set<string>()
  const env = new Proxy({} as NodeJS.ProcessEnv, {
    get: (_target, name) => void asked.add(String(name)),
  })
  loadConfig(env, { hasEmbeddedServer: () => true })

  const settings = [...asked].filter((name) => !name.endsWith('_FILE')).sort()
  t.strictSame(firstColumn('Configuration'), settings)

  const secrets = [...asked].filter((name) => name.endsWith('_FILE')).sort()
  const marked = [...readProjectFile('README.md').matchAll(/`(\w+)` †/g)].map((match) => match[1])
  t.strictSame(marked.map((name) => `${name}_FILE`).sort(), secrets)
})

test('the README lists the endpoints that there are, and no other', async (t) => {
  const reset = { token: 'a-token-that-is-long-enough', reset: async () => t.fail('not called') }
  const app = createTestApp(t, { reset: reset as never })
  await app.ready()

  const routes = app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .map((line) => /(\/\w+) \((.+)\)/.exec(line))
    .flatMap((match) => (match?.[2] ?? '').split(', ').map((method) => `${method} ${match?.[1]}`))
    .filter((route) => !/^HEAD |undefined/.test(route))
    .sort()
  t.strictSame(firstColumn('Endpoints'), routes)
})
