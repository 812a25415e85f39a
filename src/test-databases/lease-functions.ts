import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** One lease after another is made, whichever service makes it, so that there are never too many. */
const LEASE_LOCK = '7234318460551720298'

/**
 * The steps of a lease as functions of the session: PostgreSQL keeps their plans, and each is one statement,
 * although `alter database` takes no parameters.
 */
const FUNCTIONS = sql`
  -- Makes a lease of a database that is ready, and lets sessions in. No row if none may be lent.
  create or replace function pg_temp.lend_database(
    p_lease_id    uuid,
    p_label       text,
    p_ttl_seconds int,
    p_template    text,
    p_keeper      int,  -- Whose databases are lent first.
    p_max         int   -- How many databases may be lent at once.
  )
  returns setof provisioning.test_database
  language plpgsql
  as $$
  declare
    v_lent provisioning.test_database;
  begin
    perform pg_catalog.pg_advisory_xact_lock(${LEASE_LOCK});
    update provisioning.test_database
       set state = 'lent', lease_id = p_lease_id, label = p_label, ttl_seconds = p_ttl_seconds,
           lent_at = now(), granted_at = now(), changed_at = now(),
           expires_at = now() + pg_catalog.make_interval(secs => p_ttl_seconds)
     where test_database.oid = (
             select candidate.oid
               from provisioning.test_database as candidate
               join pg_catalog.pg_database
                 on pg_database.oid = candidate.oid and datname = candidate.name
              where candidate.state = 'ready'
                and not candidate.is_template
                and candidate.template = p_template
              order by candidate.keeper = p_keeper desc, candidate.changed_at desc
              limit 1
                for update of candidate)
       and (select count(*) from provisioning.test_database where state = 'lent') < p_max
    returning * into v_lent;
    if found then
      execute pg_catalog.format('alter database %I with allow_connections true', v_lent.name);
      return next v_lent;
    end if;
  end;
  $$;

  -- Ends a lease, and keeps new sessions out. No row if there is none with this id.
  create or replace function pg_temp.end_lease(p_lease_id uuid)
  returns setof provisioning.test_database
  language plpgsql
  as $$
  declare
    v_ended provisioning.test_database;
  begin
    update provisioning.test_database
       set state = 'returned', lease_id = null, changed_at = now()
     where lease_id = p_lease_id
    returning * into v_ended;
    if found then
      begin
        execute pg_catalog.format('alter database %I with allow_connections false', v_ended.name);
      exception when others then
        -- The borrower may have dropped it, renamed it or given it away: cleaning will find that out.
      end;
      return next v_ended;
    end if;
  end;
  $$`

/** Prepares a session for `lendReady` and `endLease`. */
export async function createLeaseFunctions(client: Queryable): Promise<void> {
  await client.query(FUNCTIONS)
}
