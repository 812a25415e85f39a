import type { Pool } from 'pg'
import { test } from 'tap'
import { describeSchemas } from '../../support/catalog.ts'
import { legacyId } from '../../support/legacy.ts'
import { runMigrations } from '../../support/migrations.ts'
import { createOrigin, fillOrigin, origins } from '../../support/origins.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { createTestRole } from '../../support/roles.ts'

const newest = origins['Flyway, client 0.2.2'] ?? []

test('views, indexes, functions and triggers of other names stay, work, and are reported', async (t) => {
  const reader = await createTestRole(t)
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, newest)
  await fillOrigin(pool, newest)
  await pool.query(
    `create view commandbus.failures as select command_id from commandbus.command where status = 'FAILED';
     create view public.processes as select batch_id, status from commandbus.batch where batch_type = 'PROCESS';
     grant select on public.processes to ${reader};
     create view public.everything with (security_barrier = true) as select * from commandbus.batch;
     create view public.counted as select sum(failed_count) as failed from public.everything;
     create index by_type on commandbus.batch (batch_type);
     create index by_attempts on commandbus.command (attempts);
     grant update (batch_type) on commandbus.batch to ${reader};
     create function commandbus.age(p_domain text) returns interval language sql as
       $$ select now() - min(created_at) from commandbus.command where domain = p_domain $$;
     create function public.note() returns trigger language plpgsql as $$ begin return new; end $$;
     create trigger note before insert on commandbus.audit for each row execute function public.note()`,
  )

  await runMigrations(url)

  t.strictSame(await query(pool, 'select command_id from commandbus.failures order by 1'), [
    [legacyId('c', 4)],
    [legacyId('c', 501)],
  ])
  t.strictSame(await query(pool, 'select * from public.processes'), [
    [legacyId('b', 4), 'IN_PROGRESS'],
  ])
  t.strictSame(await query(pool, 'select failed::int from public.counted'), [[1]])
  t.strictSame(
    await query(pool, `select reloptions from pg_class where oid = 'public.everything'::regclass`),
    [[['security_barrier=true']]],
  )
  t.strictSame(
    await query(
      pool,
      `select has_table_privilege($1, 'public.processes', 'select'),
              has_column_privilege($1, 'commandbus.batch', 'batch_type', 'update')`,
      [reader],
    ),
    [[true, true]],
  )
  const [[report]] = (await query(
    pool,
    `select details -> 'objects' from commandbus.adoption_report`,
  )) as [[string[]]]
  t.strictSame(report.sort(), [
    'function commandbus.age(text)',
    'index commandbus.by_attempts',
    'index commandbus.by_type',
    'trigger note on commandbus.audit',
    'view commandbus.failures',
  ])
})

test('an index that has the name of a new one gives it up', async (t) => {
  const fresh = await createTestDatabase(t, { from: 'migrated' })
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, [])
  await pool.query('create index on commandbus.command (domain, batch_id)')

  await runMigrations(url)

  const expected = await describeSchemas(fresh.pool, ['commandbus', 'e2e'])
  const found = await describeSchemas(pool, ['commandbus', 'e2e'])
  t.strictSame(
    found.filter((line) => !expected.includes(line)),
    [
      'CREATE INDEX command_domain_batch_id_idx_before_adoption ON commandbus.command USING btree (domain, batch_id)',
      'i commandbus.command_domain_batch_id_idx_before_adoption p ',
    ],
  )
  t.strictSame(
    expected.filter((line) => !found.includes(line)),
    [],
  )
})

test('a null in a column that becomes not null gets the default', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, newest)
  await fillOrigin(pool, newest)
  await pool.query(
    `update e2e.config set updated_at = null where key = 'retry';
     update e2e.test_command set attempts = null, created_at = null where id = 1;
     update e2e.batch_summary set created_at = null where id = 1;
     alter table commandbus.command alter column attempts drop not null;
     update commandbus.command set attempts = null where command_id = '${legacyId('c', 1)}'`,
  )

  const warnings = await runMigrations(url)

  t.strictSame(
    await query(
      pool,
      `select (select updated_at > now() - interval '1 minute' from e2e.config where key = 'retry'),
              (select attempts from e2e.test_command where id = 1),
              (select count(*)::int from e2e.test_command where created_at is null),
              (select count(*)::int from e2e.batch_summary where created_at is null),
              (select attempts from commandbus.command where command_id = $1)`,
      [legacyId('c', 1)],
    ),
    [[true, 0, 0, 0, 0]],
  )
  t.strictSame(
    warnings
      .map((text) =>
        text
          .match(/of (\S+) had no (\w+)/)
          ?.slice(1)
          .join('.'),
      )
      .sort(),
    [
      'commandbus.command.attempts',
      'e2e.batch_summary.created_at',
      'e2e.config.updated_at',
      'e2e.test_command.attempts',
      'e2e.test_command.created_at',
    ],
  )
})

test('old e2e tables in public stay if there is a schema e2e, and install_legacy_names() names them', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, newest)
  await fillOrigin(pool, newest)
  await pool.query(
    `create table public.e2e_config (key text primary key, value jsonb not null, updated_at timestamptz not null);
     insert into public.e2e_config values ('worker', '{"old": true}', now());
     create table public.test_command (id serial primary key, command_id uuid not null unique, payload jsonb,
       behavior jsonb, created_at timestamptz, processed_at timestamptz, attempts int, result jsonb)`,
  )

  const warnings = await runMigrations(url)

  t.match(
    warnings.join(),
    /public\.e2e_config and public\.test_command|public\.test_command and public\.e2e_config/,
  )
  t.strictSame(
    await query(
      pool,
      `select (select value from public.e2e_config), (select value ->> 'concurrency' from e2e.config where key = 'worker')`,
    ),
    [[{ old: true }, '20']],
  )
  t.strictSame(await query(pool, `select details -> 'tables' from commandbus.adoption_report`), [
    [['public.e2e_config', 'public.test_command']],
  ])
  await t.rejects(pool.query('select commandbus.install_legacy_names()'), {
    code: '42710',
    detail: /public\.e2e_config.*public\.test_command/,
  })
})

test('an origin keeps what it has of e2e: adopted in spite of E2E_SCHEMA=off, with the queues that it lacks', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const first = origins['Flyway, client 0.1.0 to 0.1.9'] ?? []
  await createOrigin(pool, first)
  await fillOrigin(pool, first)

  await runMigrations(url, { e2e: 'off' })

  t.strictSame(
    await query(
      pool,
      `select count(*)::int, count(*) filter (where queue_name like 'reporting%')::int,
              to_regclass('e2e.batch_summary') is not null
         from pgmq.meta`,
    ),
    [[11, 3, true]],
  )
})

test('without e2e, E2E_SCHEMA=off makes neither schema nor queues', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, [])

  await runMigrations(url, { e2e: 'off' })

  t.strictSame(
    await query(pool, `select to_regnamespace('e2e'), (select count(*)::int from pgmq.meta)`),
    [[null, 0]],
  )
})

test('the table of Flyway stays as it is', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await createOrigin(pool, ['flyway'])

  await runMigrations(url)

  t.strictSame(await query(pool, 'select version, description from public.flyway_schema_history'), [
    ['001', 'commandbus schema'],
  ])
})

async function query(pool: Pool, text: string, values: unknown[] = []): Promise<unknown[][]> {
  const { rows } = await pool.query({ text, values, rowMode: 'array' })
  return rows
}
