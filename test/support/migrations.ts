import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { projectDir } from './server.ts'

const folder = join(projectDir, 'migrations', 'committed')

/** The texts of the committed migrations, in their order. */
export function loadMigrations(e2e: 'on' | 'off' = 'on'): string[] {
  return readdirSync(folder)
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').replaceAll(':E2E_SCHEMA', e2e))
}

interface RunOptions {
  readonly e2e?: 'on' | 'off'
  /** The role that migrates; by default the superuser of the connection. */
  readonly role?: string
  /** Run in the session before the migrations. */
  readonly settings?: string
  /** Run at the end of each migration, in its transaction. */
  readonly andThen?: string
}

/**
 * Runs the committed migrations as graphile-migrate does, each in a transaction of its own, at a
 * tenth of its time; returns what the server warned of.
 */
export async function runMigrations(
  connectionString: string,
  { e2e = 'on', role, settings = '', andThen = '' }: RunOptions = {},
): Promise<string[]> {
  const client = new pg.Client({ connectionString })
  const warnings: string[] = []
  client.on('notice', ({ severity, message = '' }) => {
    // The order of PGMQ's columns depends on the server, and is not what a test of ours is about.
    if (severity === 'WARNING' && !message.startsWith('pgmq.read')) warnings.push(message)
  })
  await client.connect()
  try {
    await client.query(settings)
    if (role !== undefined) await client.query(`set role ${role}`)
    for (const sql of loadMigrations(e2e)) {
      await client.query(`begin; ${sql}; ${andThen}; commit`)
    }
  } finally {
    await client.end()
  }
  return warnings
}
