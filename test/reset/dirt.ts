import fc from 'fast-check'
import type { Pool } from 'pg'

/** A statement that changes the database; it may fail, as an application's may. */
export type Dirt = string

const number = fc.integer({ min: 1, max: 40 })
const pick = (...statements: string[]) => fc.constantFrom(...statements)

/** What applications and their tests do to the database of the command bus. */
export const busDirt: fc.Arbitrary<Dirt> = fc.oneof(
  number.map(
    (count) =>
      `insert into commandbus.command (domain, queue_name, command_id, command_type, status, max_attempts)
       select 'payments', 'payments__commands', gen_random_uuid(), 'Pay', 'PENDING', 3
         from generate_series(1, ${count})`,
  ),
  fc.uuid().map(
    (id) => `with batch as (insert into commandbus.batch (domain, batch_id, total_count)
                           values ('payments', '${id}', 1))
            insert into commandbus.audit (domain, command_id, event_type)
            values ('payments', '${id}', 'SENT')`,
  ),
  pick(
    `insert into commandbus.payload_archive (domain, command_id, payload_json)
     values ('payments', gen_random_uuid(), '{}')`,
    `insert into e2e.test_command (command_id, behavior) values (gen_random_uuid(), '{}')`,
    `update e2e.config set value = '{"changed": true}' where key = 'worker'`,
    `update e2e.config set updated_at = clock_timestamp()`,
    `delete from e2e.config where key = 'retry'`,
    `insert into e2e.config (key, value) values ('new', '1')`,
    `delete from commandbus.audit`,
    `truncate commandbus.audit, e2e.test_command`,
    `select setval('commandbus.audit_audit_id_seq', 500, false)`,
    `select pgmq.read('payments__commands', 0, 3)`,
    `select pgmq.archive('payments__commands', 1), pgmq.delete('payments__commands', 2)`,
    `select pgmq.purge_queue('payments__commands')`,
    `select pgmq.create_unlogged('fast_extra')`,
    `delete from pgmq.meta where queue_name = 'extra_1'`,
    `select pgmq.drop_queue('extra_2')`,
    `update pgmq.meta set created_at = now()`,
    'analyze',
    'vacuum commandbus.command',
  ),
  number.map((n) => `select pgmq.create('extra_${n % 4}')`),
  number.map((n) => `select pgmq.send('extra_${n % 4}', '{}')`),
  number.map(
    (n) => `select pgmq.send_batch('payments__commands', array_fill('{}'::jsonb, array[${n}]))`,
  ),
)

/** Changes to the objects of nasty.sql. */
export const nastyDirt: fc.Arbitrary<Dirt> = pick(
  'with a as (insert into app.ring_a values (1, 1)) insert into app.ring_b values (1, 1)',
  'insert into app.ring_a values (7)',
  'insert into app.leaf values (9, 10, 7)',
  'delete from app.leaf',
  'update app.leaf set tree_id = 20',
  'with a as (insert into app.pair_a values (2, 2)) insert into app.pair_b values (2, 2)',
  'update app.pair_a set b_id = b_id',
  'begin; set constraints all deferred; delete from app.pair_a; delete from app.pair_b; commit',
  `update app.tree set label = 'changed' where id = 15`,
  'insert into app.tree (parent) select max(id) from app.tree',
  'delete from app.leaf; delete from app.tree',
  `insert into app.part (at) select date '2019-01-01' + 30 * n from generate_series(1, 200) n`,
  'delete from app.part',
  'update app.part set amount = amount + 1',
  'insert into app.base values (4)',
  'update app.base set inherited = 9',
  `insert into "Odd schema"."Odd ""table" ("sel ect") values ('more')`,
  `delete from "Odd schema"."Odd ""table" where id = 1`,
  `update "Odd schema"."Odd ""table" set price = 1.50`,
  'delete from app."Füße"',
  `delete from app.keyless where ctid = '(0,1)'`,
  'insert into app.keyless values (null)',
  'truncate app.fleeting, app.keyless',
  `update app.typed set mood = 'sad'`,
  `select nextval('app.falling')`,
  `select nextval('app.cached')`,
  `select nextval('app.used')`,
  `select setval('app.used', 1, false)`,
  `select setval('app.falling', 100, true)`,
  'insert into app.watched values (2, 2)',
  'update app.watched set amount = 5',
  'delete from app.log',
  'insert into app.ruled values (1)',
  'delete from app.hidden',
  'insert into app.hidden values (3)',
  'insert into app.hidden_empty values (1)',
  'refresh materialized view app.counted',
  'refresh materialized view app.unfilled',
  `select pgmq.send('work', '{}'), pgmq.send('fast', '{}'), pgmq.send('Mixed_Case', '{}')`,
  `select pgmq.archive('work', 1)`,
  `select pgmq.create('extra'), pgmq.create_unlogged('Extra_Two')`,
  `select pgmq.drop_queue('fast'), pgmq.create_unlogged('fast')`,
  'insert into app.log select repeat(md5(n::text), 10) from generate_series(1, 4000) n',
  'vacuum full app.tree',
  'alter table app.keyless add column extra int; alter table app.keyless drop column extra',
)

/** Runs all statements; returns how many succeeded. */
export async function soil(pool: Pool, dirt: readonly Dirt[]): Promise<number> {
  let done = 0
  for (const statement of dirt) {
    const client = await pool.connect()
    try {
      await client.query(statement)
      done += 1
    } catch {
      await client.query('rollback')
    } finally {
      client.release()
    }
  }
  return done
}
