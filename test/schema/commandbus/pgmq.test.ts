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

/** As PGMQ's plain SQL leaves it, as far as the step looks. */
const plainSql = ['create', 'send_batch', 'read', 'delete', 'archive', 'set_vt']
  .map((name) => `create function pgmq.${name}() returns void language sql as '';`)
  .concat(`create function pgmq.send(text, jsonb) returns void language sql as '';`)
  .join('\n')

test('the PGMQ step of migration 1', async (t) => {
  const { pool: probe } = await createTestDatabase(t, { from: 'empty' })
  const available = await probe.query(`select from pg_available_extensions where name = 'pgmq'`)
  const skip = available.rowCount === 0 && 'this server has no extension pgmq'

  t.test('takes PGMQ that was installed as plain SQL, and makes no extension', async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query(`create schema pgmq; ${plainSql}`)

    await pool.query(step)

    t.equal((await pool.query(`select from pg_extension where extname = 'pgmq'`)).rowCount, 0)
  })

  t.test('says so where the plain SQL is too old or only a part of it', async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query(`create schema pgmq; ${plainSql}; drop function pgmq.set_vt()`)

    t.equal(await sqlstateOf(pool.query(step)), '0A000')
  })

  t.test('says so where there is no extension to create', async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    // An extension that no server has stands for a server without PGMQ.
    const elsewhere = step.replaceAll(`name = 'pgmq'`, `name = 'no_such_extension'`)

    t.equal(
      await sqlstateOf(pool.query(elsewhere.replaceAll('pgmq.send(', 'nowhere.send('))),
      '0A000',
    )
  })

  t.test('creates the extension in an empty schema pgmq, too', { skip }, async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query('create schema pgmq')

    await pool.query(step)
    await pool.query(step)

    t.equal((await pool.query(`select from pg_extension where extname = 'pgmq'`)).rowCount, 1)
  })

  t.test('passes on why the extension cannot be created', { skip }, async (t) => {
    const { pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query('create schema pgmq; create type pgmq.message_record as (n int)')

    t.equal(await sqlstateOf(pool.query(step)), '42710')
  })
})
