import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { openProcedureDatabase, type RolledBack } from '../../../support/procedures.ts'
import { createBus, sqlstateOf } from '../bus.ts'

/** A role without rights. */
async function createRole(db: RolledBack): Promise<string> {
  const role = `plain_${randomUUID().slice(0, 8)}`
  await db.query(`create role ${role}`)
  return role
}

/** Works as that role. */
async function as<T>(db: RolledBack, role: string, work: () => Promise<T>): Promise<T> {
  await db.query(`set local role ${role}`)
  return work().finally(() => db.query('reset role'))
}

test('grant_client', async (t) => {
  const { rolledBack } = await openProcedureDatabase(t)

  t.test(
    'a role has no rights before',
    rolledBack(async (t, db) => {
      const role = await createRole(db)

      for (const sql of [
        'select from commandbus.batch',
        `select commandbus.sp_start_batch('d', null)`,
        `select pgmq.send('payments__commands', '{}')`,
      ]) {
        t.equal(await sqlstateOf(as(db, role, () => db.query(sql))), '42501')
      }
    }),
  )

  t.test(
    'the role can then be a client, of small and large batches, and of processes',
    rolledBack(async (t, db) => {
      const role = await createRole(db)
      await db.query('select commandbus.grant_client($1)', [role])

      await as(db, role, async () => {
        const bus = createBus(db)
        const processes = await bus.batch({ total: 1, type: 'PROCESS' })
        const processId = await bus.process({ batchId: processes })
        await db.query(
          `insert into commandbus.process_audit
           (domain, process_id, step_name, command_id, command_type, sent_at)
         values ($1, $2, 'pay', gen_random_uuid(), 'Pay', now())`,
          [bus.domain, processId],
        )
        await bus.setProcess(processId, 'COMPLETED')
        t.match(await bus.refresh(processes), { completed_count: '1', is_complete: true })
        for (const total of [2, 1001]) {
          const batchId = await bus.batch({ total })
          const ids = await bus.commands(total, { batchId })
          const [first, second] = ids as [string, string]
          await bus.receive(first)
          await bus.finish(first, 'IN_TROUBLESHOOTING_QUEUE')
          await bus.set(first, 'PENDING')
          await bus.settle(batchId, 'retry')
          await db.query(`select commandbus.sp_fail_command($1, $2, 'T', 'C', 'M', 1, 3, 1)`, [
            bus.domain,
            second,
          ])
          for (const id of ids.slice(1)) await bus.finish(id, 'COMPLETED')
          t.match(await bus.refresh(batchId), { completed_count: String(total - 1) })
          await bus.finish(first, 'COMPLETED')
          t.match(await bus.exactCounts(batchId), { status: 'COMPLETED', completed: total })
          await db.query('delete from commandbus.audit where domain = $1', [bus.domain])
          await db.query('delete from commandbus.command where batch_id = $1', [batchId])
          await db.query('delete from commandbus.batch where batch_id = $1', [batchId])
        }
      })
    }),
  )

  t.test(
    'the role can use the queues and e2e, and a later queue after another call',
    rolledBack(async (t, db) => {
      const role = await createRole(db)
      await db.query('select commandbus.grant_client($1)', [role])
      await db.query(`select pgmq.create('later__commands')`)
      const use = (queue: string) =>
        as(db, role, async () => {
          const { rows } = await db.query(`select pgmq.send($1, '{"a": 1}') as id`, [queue])
          await db.query('select pgmq.send_batch($1, array[$2::jsonb])', [queue, '{}'])
          await db.query('select * from pgmq.read($1, 30, 1)', [queue])
          await db.query('select * from pgmq.set_vt($1, $2::bigint, 0)', [queue, rows[0].id])
          await db.query('select pgmq.archive($1, $2::bigint)', [queue, rows[0].id])
          await db.query('select pgmq.delete($1, $2::bigint)', [queue, rows[0].id])
          const { rowCount } = await db.query(`select from pgmq.a_${queue}`)
          t.equal(rowCount, 1)
        })

      await use('payments__commands')
      await as(db, role, () =>
        db.query(
          `insert into e2e.test_command (command_id, behavior) values (gen_random_uuid(), '{}')`,
        ),
      )
      t.equal(await sqlstateOf(use('later__commands')), '42501')
      await db.query('select commandbus.grant_client($1)', [role])
      await use('later__commands')
    }),
  )

  t.test(
    'the role can use views, materialized views and partitioned tables there too',
    rolledBack(async (t, db) => {
      const role = await createRole(db)
      await db.query(
        `create view pgmq.waiting as select 1 as n;
       create materialized view pgmq.figures as select 1 as n;
       create view e2e.newest as select 1 as n;
       create table e2e.runs (n int) partition by range (n)`,
      )
      await db.query('select commandbus.grant_client($1)', [role])

      for (const relation of ['pgmq.waiting', 'pgmq.figures', 'e2e.newest', 'e2e.runs']) {
        const read = as(db, role, () => db.query(`select n from ${relation}`))
        t.equal(await sqlstateOf(read), undefined, relation)
      }
    }),
  )

  t.test(
    'the role cannot grant this to others',
    rolledBack(async (t, db) => {
      const role = await createRole(db)
      await db.query('select commandbus.grant_client($1)', [role])

      const call = as(db, role, () => db.query('select commandbus.grant_client($1)', [role]))

      t.equal(await sqlstateOf(call), '42501')
    }),
  )

  t.test(
    'rejects a role that does not exist',
    rolledBack(async (t, db) => {
      t.equal(
        await sqlstateOf(db.query(`select commandbus.grant_client('nobody "there"')`)),
        '42704',
      )
      t.equal(await sqlstateOf(db.query('select commandbus.grant_client(null)')), '42704')
    }),
  )

  t.test(
    'names what the caller cannot grant, and who has to run it',
    rolledBack(async (t, db) => {
      const [deputy, role] = [await createRole(db), await createRole(db)]
      await db.query(
        `grant all on schema commandbus to ${deputy} with grant option;
         grant all on all tables in schema commandbus to ${deputy} with grant option;
         grant all on all sequences in schema commandbus to ${deputy} with grant option;
         grant execute on all functions in schema commandbus to ${deputy} with grant option`,
      )
      const notices: string[] = []
      const listen = ({ message = '' }) => notices.push(message)
      db.client.on('notice', listen)

      await as(db, deputy, () => db.query('select commandbus.grant_client($1)', [role]))

      const [warning = '', ...more] = notices
      t.strictSame(more, [])
      t.ok(warning.startsWith(`role "${role}" lacks rights that "${deputy}" cannot grant`), warning)
      for (const statement of warning.match(/grant [^;]+;/g) ?? []) await db.query(statement)
      await as(db, deputy, () => db.query('select commandbus.grant_client($1)', [role]))
      t.strictSame(notices.slice(1), [], 'another call reports nothing')
      await as(db, role, () =>
        db.query(`select pgmq.send('payments__commands', '{}'), * from e2e.config`),
      )
    }),
  )
})
