import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { test } from 'tap'
import { createTestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'

const fixtures = join(projectDir, 'migrations', 'fixtures')
const committed = join(projectDir, 'migrations', 'committed')

/** The functions of our schemas for which the condition holds. */
async function functionsWhere(pool: Pool, condition: string): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select oid::regprocedure::text as name
       from pg_proc
      where pronamespace in ('commandbus'::regnamespace, 'e2e'::regnamespace)
        and ${condition}
      order by 1`,
  )
  return rows.map((row) => row.name)
}

function fixtureFiles(): string[] {
  return readdirSync(fixtures, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.sql'))
    .sort()
}

test('the functions', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'migrated' })

  t.test('have the names and parameters that clients call', async (t) => {
    const { rows } = await pool.query<{ signature: string }>(
      `select proname || '(' || pg_get_function_arguments(oid) || ') '
                      || pg_get_function_result(oid) as signature
         from pg_proc
        where pronamespace = 'commandbus'::regnamespace and proname like 'sp\\_%'
        order by 1`,
    )

    t.strictSame(
      rows.map((row) => row.signature),
      [
        'sp_fail_command(p_domain text, p_command_id uuid, p_error_type text, p_error_code text, p_error_msg text, p_attempt integer, p_max_attempts integer, p_msg_id bigint) boolean',
        'sp_finish_command(p_domain text, p_command_id uuid, p_status text, p_event_type text, p_error_type text DEFAULT NULL::text, p_error_code text DEFAULT NULL::text, p_error_msg text DEFAULT NULL::text, p_details jsonb DEFAULT NULL::jsonb, p_batch_id uuid DEFAULT NULL::uuid) boolean',
        `sp_receive_command(p_domain text, p_command_id uuid, p_new_status text DEFAULT 'IN_PROGRESS'::text, p_msg_id bigint DEFAULT NULL::bigint, p_max_attempts integer DEFAULT NULL::integer) TABLE(domain text, command_id uuid, command_type text, status text, attempts integer, max_attempts integer, msg_id bigint, correlation_id uuid, reply_queue text, last_error_type text, last_error_code text, last_error_msg text, created_at timestamp with time zone, updated_at timestamp with time zone, batch_id uuid)`,
        'sp_refresh_batch_stats(p_domain text, p_batch_id uuid) TABLE(completed_count bigint, failed_count bigint, canceled_count bigint, in_troubleshooting_count bigint, is_complete boolean)',
        'sp_start_batch(p_domain text, p_batch_id uuid) boolean',
        'sp_tsq_cancel(p_domain text, p_batch_id uuid) boolean',
        'sp_tsq_complete(p_domain text, p_batch_id uuid) boolean',
        'sp_tsq_retry(p_domain text, p_batch_id uuid) boolean',
        'sp_update_batch_counters(p_domain text, p_batch_id uuid, p_update_type text) boolean',
      ],
    )
  })

  t.test('run with the caller’s rights and a fixed search path', async (t) => {
    t.strictSame(await functionsWhere(pool, 'prosecdef'), [])
    t.strictSame(
      await functionsWhere(
        pool,
        `proconfig is distinct from array['search_path=pg_catalog, pg_temp']`,
      ),
      [],
    )
  })

  t.test('can be executed only by roles that were granted it', async (t) => {
    t.strictSame(
      await functionsWhere(
        pool,
        `exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner)))
                  where grantee = 0)`,
      ),
      [],
    )
  })

  t.test('have a comment', async (t) => {
    t.strictSame(await functionsWhere(pool, `obj_description(oid, 'pg_proc') is null`), [])
  })

  t.test('load without PL/pgSQL warnings', async (t) => {
    const client = await pool.connect()
    t.teardown(() => client.release())
    await client.query(`set plpgsql.extra_errors = 'all'`)

    for (const file of fixtureFiles().filter((file) => file.includes('/functions/'))) {
      await client.query(readFileSync(join(fixtures, file), 'utf8'))
    }

    t.strictSame((await client.query('show plpgsql.extra_errors')).rows, [
      { 'plpgsql.extra_errors': 'all' },
    ])
  })

  t.test('are committed as the fixtures have them', async (t) => {
    const files = readdirSync(committed).sort()
    const sql = files.map((file) => readFileSync(join(committed, file), 'utf8')).join('\n')

    for (const file of fixtureFiles()) {
      const block = sql
        .split(`--! Included ${file}\n`)
        .at(-1)
        ?.split(`\n--! EndIncluded ${file}`)[0]
      t.equal(block, readFileSync(join(fixtures, file), 'utf8').trim(), file)
    }
  })
})
