// Each example of examples/testing, in a project of its own, with the packed package and the real runner. Besides
// the example's test, two more run that meet: each has to have a database of its own at the same time.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import {
  createProject,
  createWorkshop,
  install,
  MEET,
  pack,
  readMet,
  readVersion,
  runIn,
  waitUntilStopped,
} from './project.ts'

const workshop = createWorkshop(t)
const skip =
  (await install(workshop.dir, [
    pack(workshop.dir),
    readVersion('node', 'pg'),
    readVersion('tap', 'tap'),
    readVersion('vitest', 'vitest'),
    readVersion('jest', 'jest'),
    readVersion('playwright', '@playwright/test'),
    'typescript@6.0.3',
    '@types/node@20.19.43',
    '@types/pg@8.23.1',
  ])) ?? false

const node = (name: string) => `
  import { test } from 'node:test'
  import { testDatabase } from 'commandbus-db/testing/node'
  import { meet } from '../meet.cjs'
  const database = testDatabase()
  test('${name}', () => meet(database.name))`

const tap = (name: string) => `
  import t from 'tap'
  import { testDatabase } from 'commandbus-db/testing/tap'
  import { meet } from '../meet.cjs'
  t.test('${name}', async (t) => meet((await testDatabase(t)).name))`

const jest = (name: string) => `
  const { testDatabase } = require('commandbus-db/testing/jest')
  const { meet } = require('../meet.cjs')
  const database = testDatabase({ per: 'test' })
  test('${name}', () => meet(database.name), 60_000)`

const vitest = (name: string) => `
  import { meet } from '../meet.cjs'
  import { test } from './fixtures.ts'
  test('${name}', { timeout: 60_000 }, ({ database }) => meet(database.name))`

const playwright = (name: string) => `
  import { meet } from '../meet.cjs'
  import { test } from './fixtures'
  test('${name}', ({ database }) => meet(database.name))`

const RUNNERS = [
  {
    name: 'node',
    file: (name: string) => `test/${name}.test.js`,
    meeting: node,
    args: ['--test', '--test-concurrency=3'],
  },
  { name: 'tap', file: (name: string) => `test/${name}.test.js`, meeting: tap, args: ['--jobs=3'] },
  {
    name: 'vitest',
    file: (name: string) => `test/${name}.test.ts`,
    meeting: vitest,
    args: ['--maxWorkers=3'],
  },
  {
    name: 'jest',
    file: (name: string) => `test/${name}.test.js`,
    meeting: jest,
    args: ['--maxWorkers=3'],
  },
  {
    name: 'playwright',
    file: (name: string) => `tests/${name}.spec.ts`,
    meeting: playwright,
    args: ['--workers=3'],
  },
] as const

for (const { name, file, meeting, args } of RUNNERS) {
  t.test(`${name}: each of three files has a database of its own`, { skip }, async (t) => {
    const project = createProject(workshop, name, {
      'meet.cjs': MEET,
      [file('first')]: meeting('first'),
      [file('second')]: meeting('second'),
    })
    const output = await runIn(project, workshop, 'npm', ['test', '--', ...args])

    t.equal(readMet(project).length, 2, 'two that met had two databases')
    t.notMatch(output, /postgres:\/\//, 'no connection string is printed')
    await waitUntilStopped(workshop)
  })
}

t.test('the types of the examples fit', { skip }, async () => {
  const tsc = join(workshop.dir, 'node_modules', '.bin', 'tsc')
  const strict = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--types', 'node']
  const module = ['--module', 'nodenext', '--allowImportingTsExtensions']
  const bundler = ['--module', 'esnext', '--moduleResolution', 'bundler']
  const check = (files: string[], how: string[]) =>
    execFileSync(tsc, [...strict, ...how, ...files], { cwd: workshop.dir, stdio: 'pipe' })
  check(['vitest/test/batches.test.ts', 'vitest/vitest.config.ts'], module)
  check(['playwright/tests/batches.spec.ts'], bundler)
})
