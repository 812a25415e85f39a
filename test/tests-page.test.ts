import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Test, test } from 'tap'
import { listProjectFiles, readProjectFile, root } from './support/files.ts'

const PAGE = 'docs/use/tests.md'

/** The code blocks of the page by the file name in their first line. */
const files = new Map(
  [...readProjectFile(PAGE).matchAll(/```(?:ts|python)\n(?:\/\/|#) (\S+)\n(.*?)```/gs)].map(
    ([, name = '', text = '']) => [name, text],
  ),
)
const run = promisify(execFile)
const TOKEN = 'a-token-long-enough'

// Run by test/runners.
test('the page shows every file of the examples', async (t) => {
  const shown = ['.js', '.ts', '.py', '.ini'].flatMap((ending) =>
    listProjectFiles('examples/testing', ending),
  )
  t.ok(shown.length > 8)
  const page = readProjectFile(PAGE)
  for (const path of shown) t.ok(page.includes(`\n${readProjectFile(path)}\`\`\`\n`), path)
})

test('the set-up file for tap resets before each test and reports a refusal', async (t) => {
  const project = await createProject(t, ['support/reset.ts', 'test/orders.test.ts'])

  await run(process.execPath, ['--import=tsx', 'test/orders.test.ts'], project.options)
  t.same(project.requests, [`POST /reset Bearer ${TOKEN}`])

  project.refuse()
  const error = await run(
    process.execPath,
    ['--import=tsx', 'test/orders.test.ts'],
    project.options,
  )
    .then(() => undefined)
    .catch((cause) => cause)
  t.match(error?.stdout, /reset: 409 .*no_baseline/)
})

const pytest = spawnSync('python3', ['-c', 'import pytest']).status === 0
const missing = !pytest && 'NOT TESTED: python3 with pytest is not installed'

test('so does the set-up file for pytest', { skip: missing }, async (t) => {
  const project = await createProject(t, ['conftest.py'])
  writeFileSync(join(project.folder, 'test_it.py'), 'def test_it():\n    pass\n')

  await run('python3', ['-m', 'pytest', '-p', 'no:cacheprovider'], project.options)
  t.same(project.requests, [`POST /reset Bearer ${TOKEN}`])

  project.refuse()
  const error = await run('python3', ['-m', 'pytest'], project.options).catch((cause) => cause)
  t.match(error.stdout, /reset: 409 .*no_baseline/)
})

// Playwright itself is no dependency: its browsers are half a gigabyte.
test('the fixture for Playwright resets before the test uses it', async (t) => {
  const project = await createProject(t, ['support/reset.ts', 'e2e/fixtures.ts'])
  const stub = `export const expect = 0
    export const test = { extend: ({ cleanDatabase: [fixture, { auto }] }) => ({ fixture, auto }) }`
  writeFileSync(join(project.folder, 'e2e/playwright.ts'), stub)
  const fixtures = (files.get('e2e/fixtures.ts') ?? '').replaceAll(
    '@playwright/test',
    './playwright.ts',
  )
  writeFileSync(join(project.folder, 'e2e/fixtures.ts'), fixtures)
  writeFileSync(
    join(project.folder, 'e2e/use.ts'),
    `import { test } from './fixtures.ts'
     await test.fixture({}, async () => console.log('used', test.auto))`,
  )

  const { stdout } = await run(process.execPath, ['--import=tsx', 'e2e/use.ts'], project.options)

  t.equal(stdout.trim(), 'used true')
  t.same(project.requests, [`POST /reset Bearer ${TOKEN}`])
})

/** Creates a folder with these files, and a server that records and answers their requests. */
async function createProject(t: Test, names: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-test-suites-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}')
  for (const name of names) {
    const text = files.get(name)
    if (text === undefined) throw new Error(`${PAGE} has no ${name}`)
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const requests: string[] = []
  let status = 200
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization}`)
    response.writeHead(status).end(status === 200 ? '{}' : '{"code": "no_baseline"}')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => void server.close())
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : ''
  return {
    folder,
    requests,
    refuse() {
      status = 409
    },
    options: {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        COMMANDBUS_DB_URL: `http://127.0.0.1:${port}`,
        RESET_TOKEN: TOKEN,
      },
    },
  }
}
