import { test } from 'tap'
import { createTestDatabase } from '../../support/postgres.ts'
import { createBus } from './bus.ts'

test('no search path changes what a function does', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })
  const client = await pool.connect()
  t.teardown(() => client.release())

  // Objects that an unqualified name would find; each fails or gives a wrong result.
  await client.query(`
    create schema hostile;
    create function hostile.now() returns timestamptz language plpgsql as
      $$ begin raise exception 'hostile now()'; end $$;
    create function hostile.jsonb_build_object(variadic "any") returns jsonb
      language internal as 'jsonb_build_object';
    create function hostile.get_byte(bytea, int) returns int language sql as 'select 0';
    create function hostile.hostile_equals(text, text) returns boolean language plpgsql as
      $$ begin raise exception 'hostile ='; end $$;
    create operator hostile.= (leftarg = text, rightarg = text, procedure = hostile.hostile_equals);
    create view hostile.pg_roles as select 'nobody'::name as rolname;
    create table hostile.command (like commandbus.command);
    create table hostile.batch (like commandbus.batch);
    create table hostile.audit (like commandbus.audit);
    create domain hostile.uuid as text;
    create temp table command (like commandbus.command);
    create temp table batch (like commandbus.batch);
    create temp table batch_counter (like commandbus.batch_counter);
    create temp table audit (like commandbus.audit);
    create temp table process (like commandbus.process);
    create temp table pg_class (like pg_catalog.pg_class);
    create temp view pg_roles as select 'nobody'::name as rolname;
    set search_path = hostile, pg_temp, pg_catalog;
  `)
  const bus = createBus(client)

  for (const total of [3, 1001]) {
    t.test(`a batch of ${total} runs to completion`, async (t) => {
      const batchId = await bus.batch({ total })
      const ids = await bus.commands(total, { batchId })
      const [first, second, third] = ids as [string, string, string]

      t.equal((await bus.receive(first)).rowCount, 1)
      await bus.finish(first, 'IN_TROUBLESHOOTING_QUEUE')
      await bus.on(pool).set(first, 'CANCELED')
      await bus.settle(batchId, 'cancel')
      await bus.finish(second, 'CANCELED')
      t.equal(await bus.updateCounters(batchId, 'tsq_retry'), false)
      await client.query(`select commandbus.sp_fail_command($1, $2, 'T', 'C', 'M', 1, 3, 1)`, [
        bus.domain,
        third,
      ])
      let completed = 0
      for (const id of ids) if (await bus.finish(id, 'COMPLETED')) completed += 1

      t.equal(completed, 1)
      t.match(await bus.refresh(batchId), { is_complete: true })
      t.match(
        (await pool.query('select * from commandbus.batch where batch_id = $1', [batchId])).rows,
        [{ status: 'COMPLETED_WITH_FAILURES', completed_count: total - 2, canceled_count: 2 }],
      )
    })
  }

  t.test('a batch of processes is counted', async (t) => {
    const batchId = await bus.batch({ total: 1, type: 'PROCESS' })
    await bus.process({ batchId, status: 'COMPLETED' })

    t.match(await bus.refresh(batchId), { completed_count: '1', is_complete: true })
  })

  t.test('nothing was written to the decoys', async (t) => {
    const { rows } = await client.query(
      `select count(*)::int as rows from (
         select from hostile.command union all select from hostile.batch
         union all select from hostile.audit union all select from pg_temp.command
         union all select from pg_temp.batch union all select from pg_temp.batch_counter
         union all select from pg_temp.audit union all select from pg_temp.process) as decoys`,
    )

    t.strictSame(rows, [{ rows: 0 }])
  })

  t.test('grant_client looks up roles in pg_catalog', async (t) => {
    const role = `hostile_${process.pid}`
    await client.query(`create role ${role}`)
    t.teardown(async () => {
      await pool.query(`drop owned by ${role}; drop role ${role}`)
    })

    await client.query('select commandbus.grant_client($1)', [role])

    const { rows } = await pool.query(
      `select has_table_privilege($1, 'commandbus.command', 'insert') as may`,
      [role],
    )
    t.strictSame(rows, [{ may: true }])
  })
})
