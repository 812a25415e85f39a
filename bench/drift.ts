// What one check for drift costs, for this schema and for one of 1,000 tables:
//
//   npm run bench:drift -- [--runs 30] [--tables 1000] [--write]
//
// PostgreSQL is the embedded one, or DATABASE_URL's. --write puts the tables into docs/internals/benchmarks.md.
// A service checks in the session in which it watches the database, and reads everything in a new one of its pool;
// opening that one is not counted.
import { parseArgs } from 'node:util'
import { Client } from 'pg'
import { beginRecording, finishRecording } from '../src/baseline/recorder.ts'
import { compareWithRecord } from '../src/drift/compare.ts'
import { plainStatements, preparedStatements } from '../src/drift/statements.ts'
import { openClient } from '../src/postgres/client.ts'
import { median, replaceSection, toTable } from './report.ts'
import { openBenchServer } from './server.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '30' },
    tables: { type: 'string', default: '1000' },
    write: { type: 'boolean', default: false },
  },
})
const runs = Number(values.runs)
const tables = Number(values.tables)
/** Checks before those that count: a session plans at its first. */
const WARM_UP = 2
/** The limits in the issue, for one check. */
const LIMIT_MS = { ours: 5, large: 100 }

interface Found {
  readonly what: string
  readonly limitMs: number
  /** In ms, each a median. */
  readonly unchanged: number
  /** A function. */
  readonly changed: number
  readonly tableChanged: number
  /** A function, in a new session, as where the service has none for it. */
  readonly changedCold: number
  readonly first: number
  readonly recording: number
}

const server = await openBenchServer(process.env.DATABASE_URL)
let report: string
try {
  const ours = await server.createMigrated('drift_ours')
  const large = await server.createEmpty('drift_large')
  const found = [
    await measure("this project's schema", LIMIT_MS.ours, ours, async () => {}),
    await measure(`${tables} tables`, LIMIT_MS.large, large, () => createTables(large)),
  ]
  report = `PostgreSQL ${server.version}, ${runs} checks each, median in ms.\n\n${describe(found)}`
} finally {
  await server.close()
}
process.stdout.write(`${report}\n`)
if (values.write) {
  const document = new URL('../docs/internals/benchmarks.md', import.meta.url)
  replaceSection(document, 'bench:drift', report)
}

function describe(found: readonly Found[]): string {
  const times = toTable(
    [
      ...[
        '',
        'nothing changed',
        'a function changed',
        'a table changed',
        'a function, new session',
      ],
      ...['first check', 'recording'],
    ],
    found.map(({ what, unchanged, changed, tableChanged, changedCold, first, recording }) => [
      what,
      ...[unchanged, changed, tableChanged, changedCold, first, recording].map((ms) =>
        ms.toFixed(1),
      ),
    ]),
  )
  const targets = toTable(
    ['target', 'found', 'wanted', 'met'],
    found.flatMap(({ what, limitMs, unchanged, changed, tableChanged }) =>
      Object.entries({
        'nothing changed': unchanged,
        'a function changed': changed,
        'a table changed': tableChanged,
      }).map(([when, ms]) => [
        `${what}, ${when}, ms`,
        ...[ms.toFixed(1), `at most ${limitMs}`, ms <= limitMs ? 'yes' : 'NO'],
      ]),
    ),
  )
  return `${times}\n\n${targets}`
}

async function measure(
  what: string,
  limitMs: number,
  url: string,
  migrate: () => Promise<void>,
): Promise<Found> {
  const client = await openClient(url, 'bench')
  await beginRecording(client)
  await migrate()
  const recording = await time(() => finishRecording(client))
  const other = new Client({ connectionString: url })
  await other.connect()
  let known = await compareWithRecord(client)
  const unchanged: number[] = []
  const changed: number[] = []
  const tableChanged: number[] = []
  const changedCold: number[] = []
  const first: number[] = []
  const inNewSession = async (from?: typeof known) => {
    const session = await openClient(url, 'bench')
    const ms = await time(() => compareWithRecord(session, from))
    await session.end()
    return ms
  }
  const watching = await openClient(url, 'bench')
  const prepared = preparedStatements(watching, plainStatements(client))
  for (let run = -WARM_UP; run < runs; run++) {
    const unchangedMs = await time(() => compareWithRecord(client, known, prepared))
    // Not drift, but a reason to look closer.
    await other.query(
      `create or replace function public.since() returns int language sql as 'select ${run}'`,
    )
    const before = known
    const changedColdMs = await inNewSession(before)
    const changedMs = await time(async () => {
      known = await compareWithRecord(client, before, prepared)
    })
    const firstMs = await inNewSession()
    await other.query(
      `create table if not exists public.more (); alter table public.more add column c${run + WARM_UP} int`,
    )
    const tableChangedMs = await time(async () => {
      known = await compareWithRecord(client, known, prepared)
    })
    if (run < 0) continue
    unchanged.push(unchangedMs)
    changed.push(changedMs)
    tableChanged.push(tableChangedMs)
    changedCold.push(changedColdMs)
    first.push(firstMs)
  }
  await watching.end()
  await other.end()
  await client.end()
  if (known.inSync !== true) throw new Error(`not in sync: ${JSON.stringify(known).slice(0, 500)}`)
  return {
    ...{ what, limitMs, recording },
    unchanged: median(unchanged),
    changed: median(changed),
    tableChanged: median(tableChanged),
    changedCold: median(changedCold),
    first: median(first),
  }
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
  for (let number = 1; number <= tables; number++) {
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
