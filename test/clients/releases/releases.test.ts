// Every release of the Python client that the registry has, with all that it offers, on a database that
// the migrations made: the matrix of docs/use/clients.md. UPDATE_CLIENTS_TABLE=1 writes it there.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { replaceSection, toTable } from '../../../bench/report.ts'
import { loadRealPgmq } from '../../pgmq/implementations.ts'
import { readProjectFile } from '../../support/files.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { createClientRole, findsMessagesByPosition } from '../reliable-cmd.ts'
import { expect, SCENARIOS, type Scenario } from './expected.ts'
import { installRelease, RELEASES, type Release, type Results, runScenarios } from './run.ts'

const PAGE = 'docs/use/clients.md'
const scenarios = Object.keys(SCENARIOS) as Scenario[]

function skipLoudly(reason: string): void {
  process.stderr.write(`\n*** the releases of the Python client are not tested: ${reason} ***\n\n`)
}

test('every release does what it offers', async (t) => {
  const results = new Map<Release, Results>()
  for (const release of RELEASES) {
    const library = await installRelease(release)
    if ('missing' in library) {
      skipLoudly(library.missing)
      continue
    }
    const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
    if (!(await findsMessagesByPosition(pool))) {
      skipLoudly('PGMQ of this server has the order of 1.10')
      return
    }
    const role = await createClientRole(t, url, pool)
    const found = await runScenarios(library.dir, { url: role, domain: 'test' })
    results.set(release, found)
    assertResults(t, release, found)
  }
  if (results.size < RELEASES.length) return

  const table = describe(results)
  if (process.env.UPDATE_CLIENTS_TABLE) {
    replaceSection(new URL(`../../../${PAGE}`, import.meta.url), 'clients', table)
  }
  t.ok(readProjectFile(PAGE).includes(table), `${PAGE} has the table of this run`)
})

test('an old and the newest release at the same time on one database', async (t) => {
  const [old, newest] = [await installRelease('0.1.9'), await installRelease('0.2.2')]
  if ('missing' in old || 'missing' in newest) {
    skipLoudly('0.1.9 and 0.2.2 are needed together')
    return
  }
  const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
  if (!(await findsMessagesByPosition(pool))) {
    skipLoudly('PGMQ of this server has the order of 1.10')
    return
  }
  const role = await createClientRole(t, url, pool)

  const [oldResults, newResults] = await Promise.all([
    runScenarios(old.dir, { url: role, domain: 'e2e' }),
    runScenarios(newest.dir, { url: role, domain: 'test' }),
  ])

  assertResults(t, '0.1.9', oldResults)
  assertResults(t, '0.2.2', newResults)
})

test('with the lines of the documentation, on PGMQ 1.13', async (t) => {
  const pgmq = await loadRealPgmq()
  if ('missing' in pgmq) {
    skipLoudly(pgmq.missing)
    return
  }
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pgmq.install(pool)
  await runMigrations(url)
  t.equal(await findsMessagesByPosition(pool), false, 'the order of PGMQ 1.10 and later')
  const role = await createClientRole(t, url, pool)
  const prelude = writePrelude(t)

  for (const release of ['0.1.0', '0.2.2'] as const) {
    const library = await installRelease(release)
    if ('missing' in library) {
      skipLoudly(library.missing)
      continue
    }
    const found = await runScenarios(library.dir, { url: role, domain: 'test', prelude })
    assertResults(t, release, found)
  }
})

function assertResults(t: Test, release: Release, found: Results): void {
  t.strictSame(Object.keys(found), scenarios, `${release}: every scenario ran`)
  for (const scenario of scenarios) {
    const wanted = expect(release, scenario, RELEASES)
    t.match(found[scenario], wanted, `${release}: ${SCENARIOS[scenario]}`)
  }
}

/** The Python of the documentation, as a file. */
function writePrelude(t: Test): string {
  const [, code = ''] = /```python\n(.*?)```/s.exec(readProjectFile(PAGE)) ?? []
  t.not(code, '', `${PAGE} has the lines`)
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-prelude-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'prelude.py')
  writeFileSync(path, code)
  return path
}

/** Releases that give the same share a row. */
function describe(results: ReadonlyMap<Release, Results>): string {
  const rows = new Map<string, Release[]>()
  for (const [release, found] of results) {
    const cells = scenarios.map((scenario) => toCell(found[scenario] ?? ''))
    const key = cells.join('|')
    rows.set(key, [...(rows.get(key) ?? []), release])
  }
  return toTable(
    ['Scenario', ...[...rows.values()].map(toRange)],
    scenarios.map((scenario, index) => [
      SCENARIOS[scenario],
      ...[...rows.keys()].map((key) => key.split('|')[index] ?? ''),
    ]),
  )
}

function toCell(result: string): string {
  if (result === 'done') return 'yes'
  return result === 'not offered' ? '–' : 'no'
}

function toRange(releases: readonly Release[]): string {
  const [first, last] = [releases[0] ?? '', releases.at(-1) ?? '']
  return first === last ? first : `${first} to ${last}`
}
