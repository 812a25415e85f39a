import type { Pool } from 'pg'
import type { Test } from 'tap'
import { beginRecording, finishRecording } from '../../src/baseline/recorder.ts'
import { type Comparison, compareWithRecord } from '../../src/drift/compare.ts'
import { plainStatements, preparedStatements } from '../../src/drift/statements.ts'
import type { SessionClient } from '../../src/postgres/connection/client.ts'
import { createTestDatabase } from '../support/postgres.ts'

/** A database whose schema was recorded. */
export interface RecordedDatabase {
  readonly url: string
  readonly pool: Pool
  /** A session as the service has it. */
  readonly session: SessionClient
  /** Runs SQL as a migration does, with its number in the history and in the record. */
  migrate(sql: string): Promise<void>
  /** Continues from an earlier comparison, if there is one. */
  compare(known?: Comparison): Promise<Comparison>
  /** The differences, each as one line. */
  listDrift(): Promise<string[]>
}

/** The history as the migration tool keeps it. */
const HISTORY = `
  create schema if not exists graphile_migrate;
  create table if not exists graphile_migrate.migrations (filename text, hash text, date timestamptz default now());
  create table if not exists graphile_migrate.current (filename text primary key, content text, date timestamptz)`

/** Applies the SQL as the first migration of an empty database, after what another program does in it. */
export async function createRecorded(
  t: Test,
  sql: string,
  { before = '' }: { readonly before?: string } = {},
): Promise<RecordedDatabase> {
  const { open, pool, url } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(before)
  const session = await open('test')
  t.teardown(() => session.end())
  let migrations = 0
  // As the service continues: in its session, with plans that are kept.
  const statements = preparedStatements(session, plainStatements(session), 10_000)
  const compare = (known?: Comparison) => compareWithRecord(session, known, statements)
  const recorded: RecordedDatabase = {
    url,
    pool,
    session,
    async migrate(statements) {
      const problem = await beginRecording(session)
      if (problem !== undefined) throw new Error(problem)
      await pool.query(HISTORY)
      await pool.query(statements)
      migrations += 1
      await pool.query('insert into graphile_migrate.migrations (filename, hash) values ($1, $1)', [
        `00000${migrations}.sql`,
      ])
      await finishRecording(session)
    },
    compare,
    async listDrift() {
      const { differences } = await compare()
      return differences.map(
        ({ kind, name, change, detail }) => `${change} ${kind} ${name}: ${detail}`,
      )
    },
  }
  await recorded.migrate(sql)
  return recorded
}
