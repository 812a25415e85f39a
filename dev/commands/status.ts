import type { Client } from 'pg'
import { type Comparison, compareWithRecord } from '../../src/drift/compare.ts'
import { readCurrentState } from '../../src/drift/current-changes.ts'
import type { Difference } from '../../src/drift/describe.ts'
import { EXIT } from '../../src/errors/codes.ts'
import { isCurrentEmpty } from '../../src/migrations/files/current.ts'
import { readMigrationStatus } from '../../src/migrations/history.ts'
import { describeError } from '../../src/postgres/errors.ts'
import { readJournal } from '../commit/files/journal.ts'
import type { CommandRun } from '../tool.ts'
import { withClient } from '../with-client.ts'

/** Lists applied and pending migrations, whether current.sql is empty, and how the schema has drifted. */
export async function status({ config, database }: CommandRun): Promise<number> {
  const { migrationsDir } = config
  const { committed, pending, applied, drift, changes } = await withClient(database.url, (client) =>
    readAll(client, migrationsDir),
  )
  for (const migration of committed) {
    const state = pending.includes(migration) ? 'pending' : 'applied'
    process.stdout.write(`${state}  ${migration.filename}\n`)
  }
  const unfinished = readJournal(migrationsDir)
  if (unfinished !== undefined) {
    process.stdout.write(
      `unfinished  ${unfinished.command} was killed: the next db:commit or db:uncommit completes or forgets it\n`,
    )
  }
  const isEmpty = isCurrentEmpty(migrationsDir)
  process.stdout.write(`${isEmpty ? 'empty  ' : 'not committed'}  current.sql\n`)
  for (const line of describeCurrent(changes, isEmpty)) process.stdout.write(`${line}\n`)
  const last =
    applied.length === 0 && committed.length > 0
      ? ['never migrated  npm run dev or npm run db:watch applies what is pending']
      : describeDrift(drift, changes.length > 0)
  for (const line of last) process.stdout.write(`${line}\n`)
  return EXIT.stopped
}

async function readAll(client: Client, migrationsDir: string) {
  const status = await readMigrationStatus(client, migrationsDir)
  const drift = await compareWithRecord(client).catch(
    (error): Comparison => ({ inSync: null, reason: describeError(error), differences: [] }),
  )
  const { changes } = await readCurrentState(client).catch(() => ({ changes: [] }))
  return { ...status, drift, changes }
}

/** What current.sql has changed in the database since the last commit, as `/status` lists it; with an empty file, what is left over. */
function describeCurrent(changes: readonly Difference[], isEmpty: boolean): string[] {
  return changes.map(
    ({ change, kind, name, detail }) =>
      `${isEmpty ? 'left over' : 'changed'}  ${kind} ${name} ${change}: ${detail}`,
  )
}

/** `hasChanges`: whether current.sql has changed the schema since the last commit, also if it is empty now. */
function describeDrift({ inSync, reason, differences }: Comparison, hasChanges: boolean): string[] {
  const made = hasChanges ? 'the migrations and current.sql' : 'the migrations'
  const asExpected = `nothing but ${made} has changed the schema`
  if (inSync === null) return [`unknown  whether ${asExpected}: ${reason}`]
  if (inSync) return [`in sync  ${asExpected}`]
  return differences.map(
    ({ change, kind, name, detail }) => `drift    ${kind} ${name} ${change}: ${detail}`,
  )
}
