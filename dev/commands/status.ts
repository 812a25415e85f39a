import type { Client } from 'pg'
import { type Comparison, compareWithRecord } from '../../src/drift/compare.ts'
import { EXIT } from '../../src/errors/codes.ts'
import { isCurrentEmpty } from '../../src/migrations/files/current.ts'
import { readMigrationStatus } from '../../src/migrations/history.ts'
import { openClient } from '../../src/postgres/client.ts'
import { describeError } from '../../src/postgres/errors.ts'
import type { CommandRun } from '../tool.ts'

/** Lists applied and pending migrations, whether current.sql is empty, and how the schema has drifted. */
export async function status({ config, database }: CommandRun): Promise<number> {
  const { migrationsDir } = config
  const client = await openClient(database.url, 'development')
  const { committed, pending, drift } = await readAll(client, migrationsDir).finally(() =>
    client.end(),
  )
  for (const migration of committed) {
    const state = pending.includes(migration) ? 'pending' : 'applied'
    process.stdout.write(`${state}  ${migration.filename}\n`)
  }
  const current = isCurrentEmpty(migrationsDir) ? 'empty  ' : 'not committed'
  process.stdout.write(`${current}  current.sql\n`)
  for (const line of describeDrift(drift)) process.stdout.write(`${line}\n`)
  return EXIT.stopped
}

async function readAll(client: Client, migrationsDir: string) {
  const status = await readMigrationStatus(client, migrationsDir)
  const drift = await compareWithRecord(client).catch(
    (error): Comparison => ({ inSync: null, reason: describeError(error), differences: [] }),
  )
  return { ...status, drift }
}

function describeDrift({ inSync, reason, differences }: Comparison): string[] {
  if (inSync === null)
    return [`unknown  whether the schema is as the migrations made it: ${reason}`]
  if (inSync) return ['in sync  the schema is as the migrations made it']
  return differences.map(
    ({ change, kind, name, detail }) => `drift    ${kind} ${name} ${change}: ${detail}`,
  )
}
