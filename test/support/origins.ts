import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientBase, Pool } from 'pg'
import { projectDir } from './server.ts'

const script = (name: string) =>
  readFileSync(join(projectDir, 'test', 'support', 'origins', `${name}.sql`), 'utf8')

const refreshFunction = (result: string) => `
  drop function if exists commandbus.sp_refresh_batch_stats(text, uuid);
  create function commandbus.sp_refresh_batch_stats(p_domain text, p_batch_id uuid)
  returns ${result} language plpgsql as 'begin return; end'`

/**
 * What the client's project added to its first schema, release by release, each with what has to come
 * before it. A database may have any of them: releases added them in different orders.
 */
const ADDITIONS = {
  refresh: {
    sql: refreshFunction(
      `table (completed_count bigint, canceled_count bigint,
              in_troubleshooting_count bigint, is_complete boolean)`,
    ),
  },
  refresh_failed: {
    sql: refreshFunction(
      `table (completed_count bigint, failed_count bigint, canceled_count bigint,
              in_troubleshooting_count bigint, is_complete boolean)`,
    ),
  },
  command_batch_status: {
    sql: `create index ix_command_batch_status on commandbus.command (batch_id, status)
           where batch_id is not null`,
  },
  batch_type: {
    sql: `alter table commandbus.batch add column batch_type text not null default 'COMMAND';
          comment on column commandbus.batch.batch_type is 'COMMAND or PROCESS'`,
  },
  failed_count: {
    sql: 'alter table commandbus.batch add column failed_count int not null default 0',
  },
  processes: { sql: script('processes') },
  process_batch_id: {
    sql: `alter table commandbus.process add column batch_id uuid`,
    after: 'processes',
  },
  process_batch_id_indexes: {
    sql: `create index if not exists ix_process_batch_id on commandbus.process (batch_id);
          create index if not exists ix_process_batch_status
              on commandbus.process (batch_id, status)`,
    after: 'process_batch_id',
  },
  process_batch_id_partial_indexes: {
    sql: `create index if not exists ix_process_batch_id
              on commandbus.process (batch_id) where batch_id is not null;
          create index if not exists ix_process_batch_status
              on commandbus.process (batch_id, status) where batch_id is not null`,
    after: 'process_batch_id',
  },
  e2e: { sql: script('e2e') },
  batch_summary: {
    sql: `create table e2e.batch_summary (
            id serial primary key, batch_id uuid not null unique, domain text not null default 'e2e',
            total_expected int not null default 0, success_count int not null default 0,
            failed_count int not null default 0, canceled_count int not null default 0,
            created_at timestamptz default now(), completed_at timestamptz);
          create index ix_batch_summary_batch_id on e2e.batch_summary (batch_id);
          create index ix_batch_summary_created_at on e2e.batch_summary (created_at)`,
    after: 'e2e',
  },
  reporting_queues: {
    sql: `select pgmq.create(queue) from unnest(
            array['reporting__commands', 'reporting__replies', 'reporting__process_replies']) as queue`,
    after: 'e2e',
  },
  runtime: {
    sql: `update e2e.config set value = value || '{"concurrency": 20}' where key = 'worker';
          insert into e2e.config (key, value) values ('runtime', '{"mode": "async"}')`,
    after: 'e2e',
  },
  flyway: {
    sql: `create table public.flyway_schema_history (
            installed_rank int primary key, version varchar(50), description varchar(200) not null,
            checksum int, installed_on timestamp not null default now(), success boolean not null);
          insert into public.flyway_schema_history values (1, '001', 'commandbus schema', 1, now(), true)`,
  },
  /** The package's second file, run by hand. */
  void_refresh: { sql: refreshFunction('void') },
} as const satisfies Record<string, { readonly sql: string; readonly after?: string }>

export type Addition = keyof typeof ADDITIONS

export const allAdditions = Object.keys(ADDITIONS) as readonly Addition[]

/** The databases in use, by the additions that they have. */
export const origins: Readonly<Record<string, readonly Addition[]>> = {
  'Flyway, client 0.1.0 to 0.1.9': ['e2e', 'flyway'],
  'Flyway, client 0.2.0': [
    'e2e',
    'flyway',
    'processes',
    'refresh',
    'command_batch_status',
    'batch_summary',
    'reporting_queues',
  ],
  'Flyway, client 0.2.1': [
    'e2e',
    'flyway',
    'processes',
    'refresh',
    'command_batch_status',
    'batch_type',
    'process_batch_id',
    'process_batch_id_partial_indexes',
    'batch_summary',
    'reporting_queues',
    'runtime',
  ],
  'Flyway, client 0.2.2': [
    'e2e',
    'flyway',
    'processes',
    'refresh',
    'command_batch_status',
    'batch_type',
    'process_batch_id',
    'process_batch_id_partial_indexes',
    'batch_summary',
    'reporting_queues',
    'runtime',
    'failed_count',
    'refresh_failed',
  ],
  "the Python package's own set-up": [],
  "the Python package's set-up and its second file": ['failed_count', 'void_refresh'],
}

/**
 * The first file of the client's project as it runs on a database that exists: it leaves tables and
 * indexes of its names, and replaces functions.
 */
export const firstFile = [script('tables'), script('functions')]
  .join('\n')
  .replace(/create (schema|table|unique index|index) /g, 'create $1 if not exists ')
  .replaceAll('create function', 'create or replace function')

/** What later files of the client's project did to the function that refreshes a batch. */
export const refreshFunctions = {
  fourColumns: ADDITIONS.refresh.sql.replace(/drop function.*;\s+create/, 'create or replace'),
  fiveColumns: ADDITIONS.refresh_failed.sql,
}

/** Makes a schema commandbus as the client's project made it, with some of its later additions. */
export async function createOrigin(
  db: Pool | ClientBase,
  additions: readonly Addition[],
): Promise<void> {
  await db.query('create extension if not exists pgmq')
  await db.query(script('tables'))
  await db.query(script('functions'))
  const made = new Set<Addition>()
  const make = async (name: Addition): Promise<void> => {
    if (made.has(name)) return
    made.add(name)
    const { sql, after } = ADDITIONS[name] as { sql: string; after?: Addition }
    if (after !== undefined) await make(after)
    await db.query(sql)
  }
  for (const name of additions) await make(name)
}

/** Fills the tables with what a bus in use holds, right counters included. */
export async function fillOrigin(
  db: Pool | ClientBase,
  additions: readonly Addition[],
): Promise<void> {
  const has = await findTables(db)
  await db.query(script('rows'))
  if (has('commandbus.process')) await db.query(script('process-rows'))
  if (has('e2e.test_command')) {
    await db.query(
      `insert into e2e.test_command (command_id, payload, behavior, attempts, result)
       select command_id, '{"a": 1}', '{"type": "fail"}', 1, '{"ok": true}' from commandbus.command`,
    )
    await db.query(`select nextval('e2e.test_command_id_seq') from generate_series(1, 9)`)
    await db.query(
      `select pgmq.send('payments__commands', jsonb_build_object('n', n)) from generate_series(1, 5) as n`,
    )
    await db.query(`select pgmq.archive('payments__commands', 2::bigint)`)
  }
  if (has('e2e.batch_summary')) {
    await db.query(
      `insert into e2e.batch_summary (batch_id, total_expected)
       select batch_id, total_count from commandbus.batch`,
    )
  }
  if (additions.includes('failed_count')) {
    await db.query(
      `insert into commandbus.batch (domain, batch_id, status, total_count, failed_count, started_at)
       values ('payments', 'bbbbbbbb-0000-4000-8000-000000000005', 'IN_PROGRESS', 2, 1, now());
       insert into commandbus.command
         (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
       select 'payments', 'payments__commands', id::uuid, 'Credit', status, 3,
              'bbbbbbbb-0000-4000-8000-000000000005'
         from (values ('cccccccc-0000-4000-8000-000000000501', 'FAILED'),
                      ('cccccccc-0000-4000-8000-000000000502', 'PENDING')) as command (id, status)`,
    )
  }
  if (
    additions.includes('batch_type') &&
    additions.some((name) => name.startsWith('process_batch_id'))
  ) {
    await db.query(
      `insert into commandbus.batch
         (domain, batch_id, status, total_count, completed_count, canceled_count,
          in_troubleshooting_count, started_at, batch_type)
       values ('payments', 'bbbbbbbb-0000-4000-8000-000000000004', 'IN_PROGRESS', 6, 2, 2, 1, now(), 'PROCESS');
       update commandbus.process set batch_id = 'bbbbbbbb-0000-4000-8000-000000000004'`,
    )
  }
}

async function findTables(db: Pool | ClientBase): Promise<(name: string) => boolean> {
  const { rows } = await db.query<{ name: string }>(
    `select format('%s.%s', schemaname, tablename) as name from pg_tables
      where schemaname in ('commandbus', 'e2e')`,
  )
  const names = new Set(rows.map((row) => row.name))
  return (name) => names.has(name)
}
