import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { test } from 'tap'
import { runMigrations } from '../../../support/migrations.ts'
import { createTestDatabase } from '../../../support/postgres.ts'
import { createTestRole } from '../../../support/roles.ts'
import { projectDir } from '../../../support/server.ts'
import { withTransaction } from '../../../support/sessions.ts'

interface Case {
  readonly name: string
  /** What the superuser, who owns PGMQ, grants the migrator. */
  readonly given: (migrator: string) => string
  readonly warnings: number
}

const everything = (migrator: string, option = '') =>
  `grant usage on schema pgmq to ${migrator} ${option};
   grant all on all tables in schema pgmq to ${migrator} ${option};
   grant all on all sequences in schema pgmq to ${migrator} ${option}`

const cases: readonly Case[] = [
  {
    name: 'a migrator that may only use the schema pgmq reports what is missing',
    given: (migrator) => `grant usage on schema pgmq to ${migrator}`,
    warnings: 1,
  },
  {
    name: 'a migrator without grant options on pgmq reports what is missing',
    given: (migrator) => everything(migrator),
    warnings: 1,
  },
  {
    name: 'a migrator with grant options on pgmq grants its rights',
    given: (migrator) => everything(migrator, 'with grant option'),
    warnings: 0,
  },
]

for (const { name, given, warnings: expected } of cases) {
  test(name, async (t) => {
    const migrator = await createTestRole(t)
    const client = await createTestRole(t)
    const db = await createTestDatabase(t, { from: 'empty' })
    await db.pool.query(
      `create extension pgmq;
       select pgmq.create('payments__commands');
       grant create on database ${db.name} to ${migrator}`,
    )
    await db.pool.query(given(migrator))
    await runMigrations(db.url, { role: migrator, e2e: 'off' })

    const warnings = await grant(db.pool, migrator, client)

    t.equal(warnings.length, expected)
    for (const statement of warnings.join().match(/grant [^;]+;/g) ?? []) {
      await db.pool.query(statement)
    }
    const { rows } = await db.pool.query(
      `select has_schema_privilege($1, 'pgmq', 'usage') as schema,
              has_table_privilege($1, 'pgmq.meta', 'select') as meta,
              has_table_privilege($1, 'pgmq.q_payments__commands', 'delete') as queue,
              has_sequence_privilege($1, 'pgmq.q_payments__commands_msg_id_seq', 'usage') as ids,
              has_table_privilege($1, 'commandbus.command', 'insert') as commands`,
      [client],
    )
    t.strictSame(
      rows,
      [{ schema: true, meta: true, queue: true, ids: true, commands: true }],
      'with the reported statements the role has every right',
    )
    t.same(await grant(db.pool, migrator, client), [], 'another call reports nothing')
  })
}

test('an owner of everything gets no warning', async (t) => {
  const client = await createTestRole(t)
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  t.same(await grant(pool, 'none', client), [])
  t.same(await grant(pool, 'none', client), [])
})

test('migrating grants it to an existing role commandbus_client', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await withTransaction(pool, async (client) => {
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

/** Calls grant_client as that role; returns the server's notices. */
async function grant(pool: Pool, caller: string, role: string): Promise<string[]> {
  const notices: string[] = []
  const listen = ({ message = '' }) => notices.push(message)
  const client = await pool.connect()
  client.on('notice', listen)
  try {
    await client.query(`set role ${caller}`)
    await client.query('select commandbus.grant_client($1)', [role])
    await client.query('reset role')
  } finally {
    client.off('notice', listen)
    client.release()
  }
  return notices
}
