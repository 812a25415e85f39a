import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'tap'
import { loadConfig } from '../src/config/config.ts'
import { description } from './support/app.ts'
import { listProjectFiles, readProjectFile, root } from './support/files.ts'

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...[
    'bench',
    'client',
    'clients',
    'deploy',
    'docs',
    'embedded',
    'examples',
    'migrations',
    'test',
  ].flatMap((folder) => listProjectFiles(folder, '.md')),
]
const scripts = Object.keys(
  (JSON.parse(readProjectFile('package.json')) as { scripts: Record<string, string> }).scripts,
)

test('every script that the documentation names exists', async (t) => {
  for (const page of pages) {
    for (const [, name = ''] of readProjectFile(page).matchAll(
      /\bnpm run (?:-s )?([a-z][\w:-]*)/g,
    )) {
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

/** The targets of the links in a page, inline or by reference, that lead into this repository. */
function linksOf(page: string): { path: string; anchor: string }[] {
  const links = /\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm
  return [...readProjectFile(page).matchAll(links)]
    .map(([, inline, reference]) => inline ?? reference ?? '')
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor = ''] = target.split('#')
      return { path: path === '' ? page : normalize(join(dirname(page), path)), anchor }
    })
}

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(page: string): string[] {
  return [...readProjectFile(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test('every link inside the documentation leads somewhere', async (t) => {
  for (const page of pages) {
    for (const { path, anchor } of linksOf(page)) {
      t.ok(existsSync(join(root, path)), `${page} links to ${path}`)
      if (anchor !== '')
        t.ok(anchorsOf(path).includes(anchor), `${page} links to ${path}#${anchor}`)
    }
  }
})

test('every page can be reached from the README', async (t) => {
  const reached = new Set(['README.md'])
  for (const page of reached) {
    for (const { path } of linksOf(page)) if (path.endsWith('.md')) reached.add(path)
  }
  const unreached = pages.filter((page) => !reached.has(page) && page !== 'CHANGELOG.md')
  t.strictSame(unreached, [])
})

test('every decision stands in the list of decisions', async (t) => {
  const list = readProjectFile('docs/internals/decisions/README.md')
  for (const page of listProjectFiles('docs/internals/decisions', '.md')) {
    const name = relative('docs/internals/decisions', page)
    if (name !== 'README.md') t.ok(list.includes(`](${name})`), name)
  }
})

/** What stands between backquotes in the first column of the first table below `heading` in a page. */
function firstColumn(page: string, heading: string): string[] {
  const section = readProjectFile(page).split(`${heading}\n`)[1]?.split('\n#')[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)])
    .map((match) => match[1] ?? '')
    .sort()
}

test('the page on settings lists those that are read, and no other', async (t) => {
  const asked = new Set<string>()
  const env = new Proxy({} as NodeJS.ProcessEnv, {
    get: (_target, name) => void asked.add(String(name)),
  })
  loadConfig(env, { hasEmbeddedServer: () => true })

  const settings = [...asked].filter((name) => !name.endsWith('_FILE')).sort()
  t.strictSame(firstColumn('docs/operate/settings.md', '# Settings'), settings)

  const secrets = [...asked].filter((name) => name.endsWith('_FILE')).sort()
  const page = readProjectFile('docs/operate/settings.md')
  const marked = [...page.matchAll(/`(\w+)` †/g)].map((match) => match[1])
  t.strictSame(marked.map((name) => `${name}_FILE`).sort(), secrets)
})

test('the page on HTTP lists the endpoints that exist, and no other', async (t) => {
  const routes = Object.entries(description.paths)
    .flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    // A part of the page at /docs.
    .filter((route) => route !== 'GET /docs/{file}')
    .sort()
  t.strictSame(firstColumn('docs/use/http-api.md', '\n## Endpoints'), routes)
})

test('the page on the image lists the variables that the compose files read', async (t) => {
  const page = readProjectFile('docs/operate/image.md')
  for (const file of ['docker-compose.yml', 'docker-compose.e2e.yml']) {
    for (const [, name = ''] of readProjectFile(file).matchAll(/\$\{(\w+)/g)) {
      t.ok(page.includes(name), `${file}: ${name}`)
    }
  }
})

test('every log message that the documentation quotes is one that the service logs', async (t) => {
  const source = listProjectFiles('src', '.ts').map(readProjectFile).join('\n')
  const quoted = pages.flatMap((page) =>
    [...readProjectFile(page).matchAll(/"msg": ?"([^"]+)"/g)].map((match) => match[1] ?? ''),
  )
  t.ok(quoted.length > 0)
  for (const message of quoted.filter((text) => !text.startsWith('listening at '))) {
    t.ok(source.includes(`'${message}'`), message)
  }
})

test('every file of the sources that the documentation names exists', async (t) => {
  const folders =
    'src|client|testing|dev|bench|scripts|test|migrations/fixtures|embedded|deploy|examples'
  const paths = new RegExp(`\`((?:${folders})/[\\w./-]*)\``, 'g')
  for (const page of pages) {
    for (const [, path = ''] of readProjectFile(page).matchAll(paths)) {
      t.ok(existsSync(join(root, path)), `${page}: ${path}`)
    }
  }
})
