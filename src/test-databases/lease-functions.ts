import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** One lease after another is made, whichever service makes it, so that there are never too many. */
const LEASE_LOCK = '7234318460551720298'

/**
 * The steps of leases as functions of the session: PostgreSQL keeps their plans, and each is one statement,
 * although `alter database` takes no parameters. Each serves all requests that were waiting for the session.
 */
const FUNCTIONS = sql`
  -- Makes leases of databases that are ready, and lets sessions in: one for each request, in their order,
  -- until no more may be lent.
  create or replace function pg_temp.lend_databases(
    p_requests jsonb,  -- An array of {id, label, ttlSeconds}.
    p_template text,
    p_keeper   int,    -- Whose databases are lent first.
    p_max      int     -- How many databases may be lent at once.
  )
  returns setof provisioning.test_database
  language plpgsql
  as $$
  declare
    v_request record;
    v_lent    provisioning.test_database;
  begin
    perform pg_catalog.pg_advisory_xact_lock(${LEASE_LOCK});
    for v_request in
      select * from pg_catalog.jsonb_to_recordset(p_requests) as request (id uuid, label text, "ttlSeconds" int)
    loop
      update provisioning.test_database
         set state = 'lent', lease_id = v_request.id, label = v_request.label,
             ttl_seconds = v_request."ttlSeconds", lent_at = now(), granted_at = now(), changed_at = now(),
             expires_at = now() + pg_catalog.make_interval(secs => v_request."ttlSeconds")
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
      exit when not found;
      execute pg_catalog.format('alter database %I with allow_connections true', v_lent.name);
      return next v_lent;
    end loop;
  end;
  $$;

  -- Ends leases, and keeps new sessions out of their databases. No row for an id that is none of a lease.
  create or replace function pg_temp.end_leases(p_lease_ids uuid[])
  returns table (lease_id uuid, oid oid, keeper int)
  language plpgsql
  as $$
  #variable_conflict use_column
  declare
    v_ended provisioning.test_database;
  begin
    foreach lease_id in array p_lease_ids loop
      update provisioning.test_database
         set state = 'returned', lease_id = null, changed_at = now()
       where test_database.lease_id = end_leases.lease_id
      returning * into v_ended;
      continue when not found;
      begin
        execute pg_catalog.format('alter database %I with allow_connections false', v_ended.name);
      exception when others then
        -- The borrower may have dropped it, renamed it or given it away: cleaning will find that out.
      end;
      oid := v_ended.oid;
      keeper := v_ended.keeper;
      return next;
    end loop;
  end;
  $$;`

/** Prepares a session for `lendReady` and `endLeases`. */
export async function createLeaseFunctions(client: Queryable): Promise<void> {
  await client.query(FUNCTIONS)
}
