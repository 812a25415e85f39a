import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** One lease after another is made, whichever service makes it, so that there are never too many. */
const LEASE_LOCK = '7234318460551720298'

/**
 * The steps of leases as functions of the session: PostgreSQL keeps their plans, and each is one statement,
 * although `alter database` takes no parameters. Each serves all requests that were waiting for the session.
 */
const FUNCTIONS = sql`
  -- After a crash of the server, which may have forgotten the last leases: writes those again that the caller
  -- knows, and gives up all other databases that may have been lent. Those are the ones that are ready, and the
  -- returned ones, which may have been cleaned and lent again since. Returns how many.
  create or replace function pg_temp.recover_leases(
    p_known jsonb  -- An array of {oid, id, label, lentAt, expiresAt}.
  )
  returns int
  language plpgsql
  as $$
  declare
    v_lease record;
    v_name  name;
    v_count int;
  begin
    if exists (select from provisioning.test_database_crash_check) then
      return 0;
    end if;
    perform pg_catalog.pg_advisory_xact_lock(${LEASE_LOCK});
    if exists (select from provisioning.test_database_crash_check) then
      return 0;
    end if;
    for v_lease in
      select * from pg_catalog.jsonb_to_recordset(p_known)
                 as lease (oid oid, id uuid, label text, "lentAt" timestamptz, "expiresAt" timestamptz)
    loop
      -- A later change is that of a return: then the lease has ended.
      update provisioning.test_database
         set state = 'lent', lease_id = v_lease.id, label = v_lease.label,
             ttl_seconds = extract(epoch from v_lease."expiresAt" - v_lease."lentAt")::int,
             lent_at = v_lease."lentAt", granted_at = v_lease."lentAt", expires_at = v_lease."expiresAt",
             changed_at = now()
       where test_database.oid = v_lease.oid
         and state = 'ready'
         and changed_at < v_lease."lentAt"
         and exists (select from pg_catalog.pg_database
                      where pg_database.oid = v_lease.oid and datname = test_database.name)
      returning name into v_name;
      continue when not found;
      execute pg_catalog.format('alter database %I with allow_connections true', v_name);
    end loop;
    update provisioning.test_database
       set state = 'dropping', changed_at = now()
     where state in ('ready', 'returned')
       and not is_template;
    get diagnostics v_count = row_count;
    insert into provisioning.test_database_crash_check default values;
    return v_count;
  end;
  $$;

  -- Makes leases of databases that are ready, and lets sessions in: one for each request, in their order,
  -- until no more may be lent. Does not wait for the disk.
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
    perform pg_catalog.set_config('synchronous_commit', 'off', true);
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
  -- Waits for the disk whatever the server's settings are: a database that is lent again after a lease whose
  -- end is forgotten would come back when that lease expires.
  create or replace function pg_temp.end_leases(p_lease_ids uuid[])
  returns table (lease_id uuid, oid oid, keeper int)
  language plpgsql
  as $$
  #variable_conflict use_column
  declare
    v_ended provisioning.test_database;
  begin
    perform pg_catalog.set_config('synchronous_commit', 'on', true);
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

/** Prepares a session for `recoverLeases`, `lendReady` and `endLeases`. */
export async function createLeaseFunctions(client: Queryable): Promise<void> {
  await client.query(FUNCTIONS)
}
