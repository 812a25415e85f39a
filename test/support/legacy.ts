import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientBase, Pool } from 'pg'
import { projectDir } from './server.ts'

/** What differs between the databases that the old init script left behind. */
export interface LegacyShape {
  /** The oldest have no batches: neither the table nor command's column. */
  readonly batches?: boolean
  readonly testCommand?: 'absent' | 'with_default' | 'without_default'
}

const script = (name: string) =>
  readFileSync(join(projectDir, 'test', 'support', 'legacy', `${name}.sql`), 'utf8')

/** Makes the tables, queues and procedures of a command bus from before this history, in public. */
export async function createLegacySchema(
  db: Pool | ClientBase,
  { batches = true, testCommand = 'without_default' }: LegacyShape = {},
): Promise<void> {
  await db.query('create extension if not exists pgmq')
  for (const domain of ['test', 'payments', 'reports', 'e2e']) {
    await db.query('select pgmq.create($1), pgmq.create($2)', [
      `${domain}__commands`,
      `${domain}__replies`,
    ])
  }
  await db.query(script('commands'))
  if (batches) await db.query(script('batches'))
  if (testCommand !== 'absent') await db.query(script('test-command'))
  if (testCommand === 'with_default') {
    await db.query(
      `alter table public.test_command alter column behavior set default '{"type": "success"}'`,
    )
  }
  await db.query(script('procedures'))
}

/** Fills the tables with what a bus in use has: rows of every kind, gaps in ids, queued messages. */
export async function fillLegacyTables(
  db: Pool | ClientBase,
  { batches = true, testCommand = 'without_default' }: LegacyShape = {},
): Promise<void> {
  await db.query(script('rows'))
  if (batches) await db.query(script('batch-rows'))
  if (testCommand !== 'absent') await db.query(script('test-command-rows'))
}

/** The id that the scripts give to the nth command or batch: `legacyId('c', 1)`. */
export function legacyId(kind: 'b' | 'c', n: number): string {
  return `${kind.repeat(8)}-0000-4000-8000-${String(n).padStart(12, '0')}`
}
