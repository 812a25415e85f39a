import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createTestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'
import { sqlstateOf } from './bus.ts'

const step = readFileSync(
  join(projectDir, 'migrations', 'fixtures', 'commandbus', 'pgmq.sql'),
  'utf8',
)

/** What the step checks of PGMQ's plain SQL. */
const plainSql = ['create', 'send_batch', 'read', 'delete', 'archive', 'set_vt']
  .map((name) => `create function pgmq.${name}() returns void language sql as '';`)
  .concat(`create function pgmq.send(text, jsonb) returns void language sql as '';`)
  .join('\n')

test('the PGMQ step of migration 1', async (t) => {
  const { pool: probe } = await createTestDatabase(t, { from: 'empty' })
  const available = await probe.query(`select from pg_available_extensions where name = 'pgmq'`)
  const skip = available.rowCount === 0 && 'this server has no extension pgmq'

  t.test('accepts PGMQ installed as plain SQL, and creates no extension', async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query(`create schema pgmq; ${plainSql}`)

    await pool.query(step)

    t.equal((await pool.query(`select from pg_extension where extname = 'pgmq'`)).rowCount, 0)
  })

  t.test('fails if the plain SQL is too old or incomplete', async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query(`create schema pgmq; ${plainSql}; drop function pgmq.set_vt()`)

    t.equal(await sqlstateOf(pool.query(step)), '0A000')
  })

  t.test('fails if the server does not have the extension', async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    // No server has this extension, so every server looks like one without PGMQ.
    const elsewhere = step.replaceAll(`name = 'pgmq'`, `name = 'no_such_extension'`)

    t.equal(
      await sqlstateOf(pool.query(elsewhere.replaceAll('pgmq.send(', 'nowhere.send('))),
      '0A000',
    )
  })

  t.test('creates the extension even in an existing, empty schema pgmq', { skip }, async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query('create schema pgmq')

    await pool.query(step)
    await pool.query(step)

    t.equal((await pool.query(`select from pg_extension where extname = 'pgmq'`)).rowCount, 1)
  })

  for (const { what, columns, warnings } of [
    {
      what: 'up to PGMQ 1.9, which has no last_read_at',
      columns: ['msg_id', 'read_ct', 'enqueued_at', 'vt', 'message', 'headers'],
      warnings: 0,
    },
    {
      what: 'with last_read_at at the end',
      columns: ['msg_id', 'read_ct', 'enqueued_at', 'vt', 'message', 'headers', 'last_read_at'],
      warnings: 0,
    },
    {
      what: 'of PGMQ 1.10 and later, with last_read_at before vt',
      columns: ['msg_id', 'read_ct', 'enqueued_at', 'last_read_at', 'vt', 'message', 'headers'],
      warnings: 1,
    },
  ]) {
    t.test(`warns ${warnings} times about the column order ${what}`, async (t) => {
      const { pool } = await createTestDatabase(t, { from: 'empty' })
      await pool.query(
        `create schema pgmq; ${plainSql};
         create type pgmq.message_record as (${columns.map((name) => `${name} text`).join(', ')});
         drop function pgmq.read();
         create function pgmq.read(text, int, int) returns setof pgmq.message_record
           language sql as 'select null::pgmq.message_record'`,
      )
      const notices: string[] = []
      const client = await pool.connect()
      client.on('notice', ({ message = '' }) => notices.push(message))

      await client.query(step)
      client.release()

      t.equal(notices.length, warnings)
      for (const notice of notices) t.match(notice, columns.join(', '))
    })
  }

  t.test('reports why the extension cannot be created', { skip }, async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query('create schema pgmq; create type pgmq.message_record as (n int)')

    t.equal(await sqlstateOf(pool.query(step)), '42710')
  })
})
