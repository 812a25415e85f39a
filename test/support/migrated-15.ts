import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { startPostgres15 } from './debian-server.ts'
import { runMigrations } from './migrations.ts'
import { projectDir } from './server.ts'

const STAND_IN = join(projectDir, 'embedded', 'extension', 'pgmq--1.13.0.1-standin.sql')

/**
 * Starts a PostgreSQL 15 of Debian's with all committed migrations, and returns the URL of its superuser.
 * It has no place for extensions of ours, so the stand-in for PGMQ is run as SQL.
 */
export async function startMigrated15(t: Parameters<typeof startPostgres15>[0]): Promise<string> {
  const url = await startPostgres15(t)
  await installStandIn(url)
  await runMigrations(url)
  return url
}

/** Runs the stand-in for PGMQ in a database, where the migrations then find it. */
export async function installStandIn(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const onlyInExtensions = /^(?:\\echo|select pg_catalog\.pg_extension_config_dump).*$/gm
    await client.query('create schema pgmq')
    await client.query(readFileSync(STAND_IN, 'utf8').replace(onlyInExtensions, ''))
    // What is created later is made a member of the extension, which is not there.
    await client.query(
      `create or replace function pgmq._add_member(kind text, relation text) returns void
       language sql as ''`,
    )
  } finally {
    await client.end()
  }
}
