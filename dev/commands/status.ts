import { EXIT } from '../../src/errors/codes.ts'
import { isCurrentEmpty } from '../../src/migrations/files/current.ts'
import { readMigrationStatus } from '../../src/migrations/history.ts'
import { openClient } from '../../src/postgres/client.ts'
import type { CommandRun } from '../tool.ts'

/** Lists applied and pending migrations, and whether current.sql is empty. */
export async function status({ config, database }: CommandRun): Promise<number> {
  const { migrationsDir } = config
  const client = await openClient(database.url, 'development')
  const { committed, pending } = await readMigrationStatus(client, migrationsDir).finally(() =>
    client.end(),
  )
  for (const migration of committed) {
    const state = pending.includes(migration) ? 'pending' : 'applied'
    process.stdout.write(`${state}  ${migration.filename}\n`)
  }
  const current = isCurrentEmpty(migrationsDir) ? 'empty  ' : 'not committed'
  process.stdout.write(`${current}  current.sql\n`)
  return EXIT.stopped
}
