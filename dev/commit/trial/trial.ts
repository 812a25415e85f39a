import type { Client } from 'pg'
import { openClient } from '../../../src/postgres/client.ts'
import { describeFailure, type Failure } from '../../loop/failure.ts'
import { readCommittedFixtures, readFixtures, type Texts } from '../../loop/fixtures.ts'
import { type MigrationText, readMigrationText } from '../text/migration-text.ts'
import { type BrokenCall, findBrokenCalls, listCalls } from './calls.ts'
import {
  type CatalogObject,
  type CatalogState,
  listChanged,
  readCatalogState,
} from './catalog-state.ts'
import { type BodyFault, findBodyFaults, prepareBodyCheck } from './function-bodies.ts'
import { type NameLists, readNames } from './names.ts'
import { type RunOptions, runOnce } from './run-once.ts'

/** What is known of the uncommitted migration after it was run twice in the shadow database. */
export interface Trial {
  readonly migrationsDir: string
  readonly fixtures: Texts
  /** What the committed migrations included last. */
  readonly committed: Texts
  readonly text: MigrationText
  readonly before: CatalogState
  readonly after: CatalogState
  /** Added, changed or dropped. */
  readonly changed: readonly CatalogObject[]
  /** What it leaves in its session. */
  readonly leftInSession: readonly string[]
  /** Calls that PostgreSQL accepted before. */
  readonly brokenCalls: readonly BrokenCall[]
  readonly second: SecondRun
  /** What plpgsql_check finds since this migration. */
  readonly bodyFaults: readonly BodyFault[]
  /** Why plpgsql_check could not be used. */
  readonly bodyProblem: string | undefined
  readonly names: NameLists
}

export interface SecondRun {
  readonly failure: Failure | undefined
  /** Tables that have more or fewer rows than after the first run. */
  readonly rows: readonly { readonly table: string; readonly count: number }[]
  /** Objects that the second run changed once more. */
  readonly changed: readonly CatalogObject[]
}

export interface TrialOptions extends Omit<RunOptions, 'text' | 'url'> {
  readonly migrationsDir: string
  readonly placeholders: Readonly<Record<string, string>>
  /** A database with the committed migrations, which will be dropped. */
  readonly shadowUrl: string
}

/** Runs the uncommitted migration twice in the shadow database. Returns why the first run failed, or what is known then. */
export async function tryMigration(options: TrialOptions): Promise<Trial | Failure> {
  const { migrationsDir, placeholders, shadowUrl } = options
  const fixtures = readFixtures(migrationsDir)
  const text = await readMigrationText({ migrationsDir, fixtures, placeholders })
  const run = { ...options, url: shadowUrl, text }
  const client = await openClient(shadowUrl, 'development')
  try {
    const check = await prepareBodyCheck(client)
    const readFaults = async () => ('schema' in check ? findBodyFaults(client, check.schema) : [])
    const before = await readCatalogState(client)
    const faultsBefore = await readFaults()
    const calls = await listAcceptedCalls(client, before, text)

    const first = await runOnce(run)
    if (first.failed !== undefined)
      return describeFailure(first.failed, { migrationsDir, placeholders })
    const after = await readCatalogState(client)
    const brokenCalls = await findBrokenCalls(client, calls)
    const faults = await readFaults()
    const names = await readNames(client)

    const again = await runOnce(run)
    const repeated = again.failed === undefined ? await readCatalogState(client) : after
    return {
      ...{ migrationsDir, fixtures, committed: readCommittedFixtures(migrationsDir), text },
      ...{ before, after, changed: listChanged(before, after), brokenCalls, names },
      leftInSession: first.leftInSession,
      second: {
        failure: again.failed && describeFailure(again.failed, { migrationsDir, placeholders }),
        rows: again.rows,
        changed: listChanged(after, repeated),
      },
      bodyProblem: 'problem' in check ? check.problem : undefined,
      bodyFaults: faults.filter((fault) => !faultsBefore.some((one) => one.key === fault.key)),
    }
  } finally {
    await client.end()
  }
}

/** Only functions that the migration mentions can be changed by it without being dropped. */
async function listAcceptedCalls(client: Client, before: CatalogState, text: MigrationText) {
  const calls = [...before.routines.values()]
    .filter(({ ownName }) => text.sql.includes(ownName))
    .flatMap(listCalls)
  const broken = await findBrokenCalls(client, calls)
  return calls.filter((call) => !broken.some((one) => one.call === call))
}

export function isFailure(result: Trial | Failure): result is Failure {
  return !('after' in result)
}
