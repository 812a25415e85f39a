// What plpgsql_check finds in the functions: Debian's package postgresql-15-plpgsql-check.
import pg from 'pg'
import { test } from 'tap'
import { needsPlpgsqlCheck } from '../support/debian-server.ts'
import { startMigrated15 } from '../support/migrated-15.ts'
import { compareWithAccepted } from './accepted.ts'
import { countFunctions, findFaults } from './findings.ts'

test(
  'plpgsql_check finds nothing in the functions, and finds a fault that is put into one',
  needsPlpgsqlCheck,
  async (t) => {
    const client = new pg.Client({ connectionString: await startMigrated15(t) })
    await client.connect()
    await client.query('create extension plpgsql_check')

    const { unexpected, outdated } = compareWithAccepted(await findFaults(client))

    t.strictSame(unexpected, [])
    t.strictSame(outdated, [], 'what is accepted is still found')
    t.ok((await countFunctions(client)) > 20, 'functions were checked')

    // A fault is found, with its line.
    await client.query(`
    create or replace function commandbus.start_batch(p_domain text, p_batch_id uuid, p_wait boolean)
    returns boolean language plpgsql set search_path = pg_catalog, pg_temp as $$
    begin
      perform from commandbus.batch where batch.no_such_column = p_domain;
      return true;
    end $$`)
    t.match(
      compareWithAccepted(await findFaults(client)).unexpected.join('\n'),
      /start_batch\.sql:\d+: error: column batch\.no_such_column does not exist/,
    )
    await client.end()
  },
)
