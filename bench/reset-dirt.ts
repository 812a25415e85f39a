/** What an e2e run leaves behind, by size; `clean` is a run that wrote nothing. */
export const DIRT = {
  clean: 'select 1',
  small: soilBus(50, 120, 20),
  'small and a queue': `${soilBus(50, 120, 20)}; select pgmq.create('made_since')`,
  '400,000 rows': soilBus(100_000, 250_000, 50_000),
} as const

export type Scenario = keyof typeof DIRT

function soilBus(commands: number, events: number, messages: number): string {
  return `
    insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts)
    select 'payments', 'payments__commands', gen_random_uuid(), 'Pay', 'PENDING', 3
      from generate_series(1, ${commands});
    insert into commandbus.audit (domain, command_id, event_type)
    select 'payments', gen_random_uuid(), 'SENT' from generate_series(1, ${events});
    select count(*) from pgmq.send_batch('payments__commands', array_fill('{}'::jsonb, array[${messages}]));
    update e2e.config set value = '{"changed": true}' where key = 'worker'`
}

/** A database of so many tables, each with a sequence, as a larger application has. */
export function makeTables(count: number): string {
  return `
    create schema graphile_migrate;
    create table graphile_migrate.migrations (hash text primary key, filename text);
    insert into graphile_migrate.migrations values ('sha1:1', '000001.sql');
    create schema many;
    do $$ begin
      for number in 1..${count} loop
        execute format('create table many.t%s (id bigint generated always as identity primary key,
                          a text, b int, c jsonb, at timestamptz default now())', number);
      end loop;
    end $$`
}

/** A few rows in a tenth of the tables, in ten at most. */
export function soilTables(count: number): string {
  const tables = Array.from({ length: Math.min(10, Math.ceil(count / 10)) }, (_, n) => n + 1)
  return tables
    .map((n) => `insert into many.t${n} (a) select 'x' from generate_series(1, 5)`)
    .join('; ')
}
