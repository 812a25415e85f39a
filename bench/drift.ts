// What one check for drift costs: npm run bench:drift. For this schema, and for one of 1,000 tables. The
// service's checks begin in a new session; while no catalogue has changed, they read no definition.
import { Client } from 'pg'
import { beginRecording, finishRecording } from '../src/baseline/recorder.ts'
import { compareWithRecord } from '../src/drift/compare.ts'
import { openClient } from '../src/postgres/client.ts'
import { median, toTable } from './report.ts'
import { openBenchServer } from './server.ts'

const RUNS = Number(process.env.RUNS ?? 30)
const TABLES = Number(process.env.TABLES ?? 1000)

const server = await openBenchServer(process.env.DATABASE_URL)
try {
  const ours = await server.createMigrated('drift_ours')
  const large = await server.createEmpty('drift_large')
  const lines = [
    await measure("this project's schema", ours, async () => {}),
    await measure(`${TABLES} tables`, large, () => createTables(large)),
  ]
  process.stdout.write(
    `PostgreSQL ${server.version}, ${RUNS} checks each, median in ms\n\n${toTable(
      ['', 'nothing changed', 'changed, warm session', 'changed, new session', 'recording'],
      lines,
    )}\n`,
  )
} finally {
  await server.close()
}

async function measure(what: string, url: string, migrate: () => Promise<void>): Promise<string[]> {
  const client = await openClient(url, 'bench')
  await beginRecording(client)
  await migrate()
  const recording = await time(() => finishRecording(client))
  const other = new Client({ connectionString: url })
  await other.connect()
  let known = await compareWithRecord(client)
  const [unchanged, changed, first]: [number[], number[], number[]] = [[], [], []]
  for (let run = 0; run < RUNS; run++) {
    const session = await openClient(url, 'bench')
    unchanged.push(await time(() => compareWithRecord(session, known)))
    await session.end()
    // In a schema that is not the migrations': no drift, but a reason to read all definitions.
    await other.query(
      `create or replace function public.since() returns int language sql as 'select ${run}'`,
    )
    changed.push(
      await time(async () => {
        known = await compareWithRecord(client, known)
      }),
    )
    const another = await openClient(url, 'bench')
    first.push(await time(() => compareWithRecord(another)))
    await another.end()
  }
  await other.end()
  await client.end()
  if (known.inSync !== true) throw new Error(`not in sync: ${JSON.stringify(known).slice(0, 500)}`)
  return [
    what,
    ...[unchanged, changed, first].map((times) => median(times).toFixed(1)),
    recording.toFixed(1),
  ]
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

/** Each with ten columns, a key, a check, an index and a foreign key. */
async function createTables(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('create schema large')
  for (let number = 1; number <= TABLES; number++) {
    await client.query(
      `create table large.t${number} (
         id bigint generated always as identity primary key, name text not null default 'x',
         amount int not null default 0 check (amount >= 0), created_at timestamptz not null default now(),
         details jsonb, key uuid, price numeric(10, 2), note text, done boolean,
         previous bigint ${number > 1 ? `references large.t${number - 1}` : ''});
       create index on large.t${number} (name, created_at desc)`,
    )
  }
  await client.end()
}
