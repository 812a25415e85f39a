// How long a developer of the procedures waits: from a save until it is live, for another branch, for one procedure's tests.
//
//   npm run bench:loop -- [--saves 20] [--branches 6] [--tests 10] [--write]
//
// It needs git, util-linux's `script`, psql, and a build (npm run build). All of it runs in a throw-away clone, on the embedded
// server that `npm run dev` starts there. --write puts the tables into docs/internals/benchmarks.md.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Checkout, createCheckout } from '../scripts/walkthrough/checkout.ts'
import { calculateHash } from '../test/support/migrations-folder.ts'
import { type LoopDatabase, openLoopDatabase } from './loop-database.ts'
import { median, replaceSection, toTable } from './report.ts'

const { values } = parseArgs({
  options: {
    saves: { type: 'string', default: '20' },
    branches: { type: 'string', default: '6' },
    tests: { type: 'string', default: '10' },
    write: { type: 'boolean', default: false },
  },
})
/** The limits in the issue. */
const LIMIT_MS = { save: 500, branch: 2000, tests: 1000 }
const FIXTURE = 'migrations/fixtures/commandbus/functions/sp_start_batch.sql'
const TEST = 'test/schema/commandbus/functions/sp_start_batch.test.ts'

interface Found {
  readonly what: string
  readonly times: readonly number[]
  readonly limitMs?: number
}

const checkout = createCheckout()
let report: string
try {
  report = describe([
    ...(await measureSaves(checkout, Number(values.saves))),
    ...(await measureTests(checkout, Number(values.tests))),
    ...(await measureBranches(checkout, Number(values.branches))),
  ])
} finally {
  await checkout.remove()
}
process.stdout.write(`${report}\n`)
if (values.write) {
  replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), 'bench:loop', report)
}

function describe(found: readonly Found[]): string {
  const lines = found.map(({ what, times, limitMs }) => [
    what,
    ...[median(times), Math.max(...times)].map((ms) => ms.toFixed(0)),
    String(times.length),
    limitMs === undefined ? '' : `at most ${limitMs}`,
    limitMs === undefined ? '' : Math.max(...times) <= limitMs ? 'yes' : 'NO',
  ])
  return toTable(['in ms', 'median', 'most', 'runs', 'wanted', 'met'], lines)
}

/** A body that no earlier save had: the loop and the tool compare texts without their comments. */
function changeBody(text: string, run: number): string {
  return text.replace(
    /p_wait => \w+/,
    `p_wait => ${run % 2 === 0 ? 'true' : 'not false'} and ${run} = ${run}`,
  )
}

async function measureSaves(checkout: Checkout, runs: number): Promise<Found[]> {
  const dev = checkout.start('npm run dev')
  await dev.prints('watching ')
  const database = await openLoopDatabase(checkout)
  try {
    const committed = checkout.read(FIXTURE)
    const saves: number[] = []
    for (let run = -2; run < runs; run++) {
      const text = changeBody(committed, run)
      const ms = await timeUntilLive(database, run, () => checkout.write(FIXTURE, text))
      if (run >= 0) saves.push(ms)
    }
    const psql = await measurePsql(checkout, database, committed, runs)
    const watch = await measureWatch(checkout, database, committed, runs)
    checkout.write(FIXTURE, committed)
    await dev.prints(/sp_start_batch\.sql: function .*\n(?![\s\S]*sp_start_batch)/)
    return [
      { what: 'save → live, `npm run dev`', times: saves, limitMs: LIMIT_MS.save },
      { what: 'save → live, `graphile-migrate watch`, in `current.sql`', times: watch },
      { what: '`psql -f` of the same file', times: psql },
    ]
  } finally {
    await database.close()
    await dev.interrupt()
  }
}

/** From before the save until the catalogue has the body of that run. */
async function timeUntilLive(
  database: LoopDatabase,
  run: number,
  save: () => unknown,
  name?: string,
): Promise<number> {
  const startedAt = performance.now()
  await save()
  await database.untilBodyHas(`and ${run} = ${run}`, name)
  return performance.now() - startedAt
}

/** The floor: nothing watches, and it is run by hand. */
async function measurePsql(
  checkout: Checkout,
  database: LoopDatabase,
  committed: string,
  runs: number,
): Promise<number[]> {
  const file = join(checkout.dir, '.data', 'floor.sql')
  const times: number[] = []
  const peer = await database.createCopy('floor')
  for (let run = 0; run < runs; run++) {
    writeFileSync(file, changeBody(committed, run))
    times.push(await timeUntilLive(database, run, () => database.psql(peer, file), peer))
  }
  return times
}

/** The tool's own watch, which watches `current.sql` and no fixture, with what it needs and no more. */
async function measureWatch(
  checkout: Checkout,
  database: LoopDatabase,
  committed: string,
  runs: number,
): Promise<number[]> {
  const peer = await database.createCopy('watch')
  const folder = join(checkout.dir, '.data', 'watch')
  mkdirSync(folder, { recursive: true })
  cpSync(join(checkout.dir, 'migrations'), join(folder, 'migrations'), { recursive: true })
  cpSync(join(checkout.dir, '.gmrc'), join(folder, '.gmrc'))
  const current = join(folder, 'migrations', 'current.sql')
  writeFileSync(current, changeBody(committed, -1))
  const cli = join(checkout.dir, 'node_modules', 'graphile-migrate', 'dist', 'cli.js')
  const watch = checkout.start(`cd .data/watch && node ${cli} watch`, {
    DATABASE_URL: database.urlOf(peer),
    E2E_SCHEMA: 'on',
  })
  try {
    await database.untilBodyHas('and -1 = -1', peer)
    const times: number[] = []
    for (let run = 0; run < runs; run++) {
      const text = changeBody(committed, run)
      times.push(await timeUntilLive(database, run, () => writeFileSync(current, text), peer))
    }
    return times
  } finally {
    await watch.interrupt()
  }
}

async function measureTests(checkout: Checkout, runs: number): Promise<Found[]> {
  const dev = checkout.start('npm run dev')
  await dev.prints('watching ')
  try {
    const time = async (command: string, expected: string) => {
      const startedAt = performance.now()
      const output = await checkout.run(command)
      if (!output.includes(expected)) throw new Error(`${command}:\n${output}`)
      return performance.now() - startedAt
    }
    const test = () => time('npm run test:sql -- sp_start_batch', ' passed')
    await test()
    const committed = checkout.read(FIXTURE)
    const warm: number[] = []
    const saved: number[] = []
    const peer: number[] = []
    const npm: number[] = []
    for (let run = 0; run < runs; run++) {
      warm.push(await test())
      npm.push(await time('npm run -s', ''))
      checkout.write(FIXTURE, changeBody(committed, run * 2))
      saved.push(await test())
      checkout.write(FIXTURE, committed)
      await test()
      if (run < 3) peer.push(await time(`npx tap ${TEST}`, 'pass'))
    }
    return [
      { what: '`npm run test:sql -- sp_start_batch`', times: warm, limitMs: LIMIT_MS.tests },
      { what: 'the same after a save', times: saved, limitMs: LIMIT_MS.tests },
      { what: '`npx tap` of the same file', times: peer },
      { what: '`npm run` without a script', times: npm },
    ]
  } finally {
    await dev.interrupt()
  }
}

/** From `npm run dev` on another branch until the loop watches: a branch that already has a database, or a new one. */
async function measureBranches(checkout: Checkout, runs: number): Promise<Found[]> {
  const start = async () => {
    const startedAt = performance.now()
    const dev = checkout.start('npm run dev')
    await dev.prints('watching ')
    const ms = performance.now() - startedAt
    await dev.interrupt()
    return ms
  }
  const created: number[] = []
  const again: number[] = []
  const same: number[] = []
  await start()
  for (let run = 0; run < runs; run++) {
    checkout.git('switch', '--quiet', '-c', `branch-${run}`)
    commitMigration(checkout, `comment on table commandbus.batch is 'Branch ${run}.';`)
    created.push(await start())
    checkout.git('switch', '--quiet', 'main')
    again.push(await start())
    same.push(await start())
  }
  return [
    { what: 'a new branch, with a migration', times: created, limitMs: LIMIT_MS.branch },
    { what: 'back on a branch', times: again, limitMs: LIMIT_MS.branch },
    { what: 'the same branch', times: same },
  ]
}

function commitMigration(checkout: Checkout, body: string): void {
  const files = checkout.git('ls-files', 'migrations/committed').trim().split('\n')
  const previous = /^--! Hash: (\S+)$/m.exec(checkout.read(files.at(-1) ?? ''))?.[1] ?? null
  const number = String(files.length + 1).padStart(6, '0')
  checkout.write(
    `migrations/committed/${number}-branch.sql`,
    `--! Previous: ${previous}\n--! Hash: ${calculateHash(body, previous)}\n--! Message: branch\n\n${body}\n`,
  )
  checkout.git('add', '--all')
  checkout.git('commit', '--quiet', '--message', 'Branch')
}
