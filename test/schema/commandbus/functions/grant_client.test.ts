import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { test } from 'tap'
import { createTestDatabase } from '../../../support/postgres.ts'
import { openProcedureDatabase } from '../../../support/procedures.ts'
import { projectDir } from '../../../support/server.ts'
import { type Session, withTransaction } from '../../../support/sessions.ts'
import { createBus, sqlstateOf } from '../bus.ts'

interface Teardown {
  teardown(work: () => Promise<void>): unknown
}

/** A role without rights; it is dropped, rights included, before the database is. */
async function createRole(t: Teardown, pool: Pool): Promise<string> {
  const role = `plain_${randomUUID().slice(0, 8)}`
  await pool.query(`create role ${role}`)
  t.teardown(async () => {
    await pool.query(`drop owned by ${role}; drop role ${role}`)
  })
  return role
}

async function as<T>(pool: Pool, role: string, work: (client: Session) => Promise<T>) {
  return withTransaction(pool, async (client) => {
    await client.query(`set local role ${role}`)
    return work(client)
  })
}

test('grant_client', async (t) => {
  const { pool } = await openProcedureDatabase(t)

  t.test('a role has no rights before', async (t) => {
    const role = await createRole(t, pool)

    for (const sql of [
      'select from commandbus.batch',
      `select commandbus.sp_start_batch('d', null)`,
      `select pgmq.send('payments__commands', '{}')`,
    ]) {
      t.equal(await sqlstateOf(as(pool, role, (client) => client.query(sql))), '42501')
    }
  })

  t.test(
    'the role can then be a client, of small and large batches, and of processes',
    async (t) => {
      const role = await createRole(t, pool)
      await pool.query('select commandbus.grant_client($1)', [role])

      await as(pool, role, async (client) => {
        const bus = createBus(client)
        const processes = await bus.batch({ total: 1, type: 'PROCESS' })
        const processId = await bus.process({ batchId: processes })
        await client.query(
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
          await client.query(`select commandbus.sp_fail_command($1, $2, 'T', 'C', 'M', 1, 3, 1)`, [
            bus.domain,
            second,
          ])
          for (const id of ids.slice(1)) await bus.finish(id, 'COMPLETED')
          t.match(await bus.refresh(batchId), { completed_count: String(total - 1) })
          await bus.finish(first, 'COMPLETED')
          t.match(await bus.exactCounts(batchId), { status: 'COMPLETED', completed: total })
          await client.query('delete from commandbus.audit where domain = $1', [bus.domain])
          await client.query('delete from commandbus.command where batch_id = $1', [batchId])
          await client.query('delete from commandbus.batch where batch_id = $1', [batchId])
        }
      })
    },
  )

  t.test('the role can use the queues and e2e, and a later queue after another call', async (t) => {
    const role = await createRole(t, pool)
    await pool.query('select commandbus.grant_client($1)', [role])
    await pool.query(`select pgmq.create('later__commands')`)
    const use = (queue: string) =>
      as(pool, role, async (client) => {
        const { rows } = await client.query(`select pgmq.send($1, '{"a": 1}') as id`, [queue])
        await client.query('select pgmq.send_batch($1, array[$2::jsonb])', [queue, '{}'])
        await client.query('select * from pgmq.read($1, 30, 1)', [queue])
        await client.query('select * from pgmq.set_vt($1, $2::bigint, 0)', [queue, rows[0].id])
        await client.query('select pgmq.archive($1, $2::bigint)', [queue, rows[0].id])
        await client.query('select pgmq.delete($1, $2::bigint)', [queue, rows[0].id])
        const { rowCount } = await client.query(`select from pgmq.a_${queue}`)
        t.equal(rowCount, 1)
      })

    await use('payments__commands')
    await as(pool, role, (client) =>
      client.query(
        `insert into e2e.test_command (command_id, behavior) values (gen_random_uuid(), '{}')`,
      ),
    )
    t.equal(await sqlstateOf(use('later__commands')), '42501')
    await pool.query('select commandbus.grant_client($1)', [role])
    await use('later__commands')
  })

  t.test(
    'the role can use views, materialized views and partitioned tables there too',
    async (t) => {
      const role = await createRole(t, pool)
      await pool.query(
        `create view pgmq.waiting as select 1 as n;
       create materialized view pgmq.figures as select 1 as n;
       create view e2e.newest as select 1 as n;
       create table e2e.runs (n int) partition by range (n)`,
      )
      await pool.query('select commandbus.grant_client($1)', [role])

      for (const relation of ['pgmq.waiting', 'pgmq.figures', 'e2e.newest', 'e2e.runs']) {
        const read = as(pool, role, (client) => client.query(`select n from ${relation}`))
        t.equal(await sqlstateOf(read), undefined, relation)
      }
    },
  )

  t.test('the role cannot grant this to others', async (t) => {
    const role = await createRole(t, pool)
    await pool.query('select commandbus.grant_client($1)', [role])

    const call = as(pool, role, (client) =>
      client.query('select commandbus.grant_client($1)', [role]),
    )

    t.equal(await sqlstateOf(call), '42501')
  })

  t.test('rejects a role that does not exist', async (t) => {
    t.equal(
      await sqlstateOf(pool.query(`select commandbus.grant_client('nobody "there"')`)),
      '42704',
    )
    t.equal(await sqlstateOf(pool.query('select commandbus.grant_client(null)')), '42704')
  })

  t.test('migrating grants it to an existing role commandbus_client', async (t) => {
    const { pool: empty } = await createTestDatabase(t, { from: 'empty' })
    await withTransaction(empty, async (client) => {
      await client.query('create role commandbus_client')
      for (const file of ['000001-commandbus.sql', '000002-e2e.sql']) {
        const sql = readFileSync(join(projectDir, 'migrations', 'committed', file), 'utf8')
        await client.query(sql.replaceAll(':E2E_SCHEMA', 'on'))
      }

      const { rows } = await client.query(
        `select has_table_privilege('commandbus_client', 'commandbus.command', 'insert') as commandbus,
                has_table_privilege('commandbus_client', 'e2e.config', 'select') as e2e,
                has_table_privilege('commandbus_client', 'pgmq.q_e2e__replies', 'update') as queue`,
      )
      t.strictSame(rows, [{ commandbus: true, e2e: true, queue: true }])
    })
  })
})
