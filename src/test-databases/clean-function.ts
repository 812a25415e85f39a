import { STORE_SCHEMA } from '../catalog/scope.ts'
import {
  CATALOGS_SQL,
  catalogVersionsSql,
  TABLES_BESIDE_SQL,
  tableVersionsSql,
} from '../catalog/versions.ts'
import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'
import type { Attempt } from '../reset/lock-retry.ts'
import { createPageFunctions, markPages } from './catalog-pages.ts'
import { databaseSettingsSql, presenceSql } from './database-level.ts'

/** What is the same in a database as long as nothing was written to it that a reset leaves alone. */
export interface Versions {
  readonly catalogs: string
  /** The sign that they are still the same; null where it would not say so. */
  readonly pages: string | null
  /** The tables that a reset leaves alone. */
  readonly tables: string
  readonly settings: string
  /** The tables in which it notes how it left the others. */
  readonly notes: string
  /** The fingerprints in the baseline; null if the next reset has to compare all definitions. */
  readonly recorded: string | null
}

/** What one call found: it goes on only if nothing was wrong. */
export interface Cleaning {
  /** Whether a session could come in; null where the database is gone or has another name. */
  readonly isOpen: boolean | null
  /** Sessions other than this one, prepared transactions and replication slots. */
  readonly sessions: number | null
  /** As the last borrower left it; undefined unless this session is the only one. */
  readonly before?: Versions
  /** Whether it was reset. */
  readonly isReset?: boolean
  /** As the reset left it; null if that has to be read when the transaction has ended. */
  readonly after?: Versions | null
}

/**
 * Creates the function that cleans a database, for this session. It runs where a reset function was
 * generated, under the settings of its session.
 */
export async function createCleanFunction(
  client: Queryable,
  database: { readonly oid: number; readonly name: string },
): Promise<void> {
  const list = async (query: string) =>
    (await client.query<{ name: string }>(query)).rows.map(({ name }) => name)
  const catalogs = await list(CATALOGS_SQL)
  await createPageFunctions(client, catalogs)
  await client.query(
    cleanFunctionSql({ ...database, catalogs, tables: await list(TABLES_BESIDE_SQL) }),
  )
}

/** Reads the versions of a clean database, in a transaction of its own. */
export async function readVersions(client: Queryable): Promise<Versions> {
  await markPages(client)
  const { rows } = await client.query<{ versions: Versions }>({
    name: 'read_versions',
    text: 'select pg_temp.read_versions(null) as versions',
  })
  return rows[0]?.versions as Versions
}

/** Calls it: one round trip. What is `known` of a clean database decides; undefined of a new one. */
export async function callCleanFunction(
  client: Queryable,
  { lockFirst, lockTimeoutMs }: Attempt,
  known: Versions | undefined,
): Promise<Cleaning> {
  const { rows } = await client.query<{ cleaning: Cleaning }>({
    name: 'clean_database',
    text: 'select pg_temp.clean_database($1, $2, $3) as cleaning',
    values: [lockFirst, Math.max(1, Math.round(lockTimeoutMs)), known && JSON.stringify(known)],
  })
  return rows[0]?.cleaning as Cleaning
}

/** A reset writes them, and no other table of those that are not in the baseline. */
const NOTES = [`${STORE_SCHEMA}.baseline`, `${STORE_SCHEMA}.baseline_relation`]

interface CleanFunctionOptions {
  readonly oid: number
  readonly name: string
  readonly catalogs: readonly string[]
  readonly tables: readonly string[]
}

function cleanFunctionSql({ oid, name, catalogs, tables }: CleanFunctionOptions): string {
  return sql`
    -- What every reset may write.
    create or replace function pg_temp.read_written()
    returns jsonb
    language plpgsql
    stable
    as $$
    begin
      return jsonb_build_object(
        'notes', (
          ${tableVersionsSql(NOTES)}),
        'recorded', (
          select objects_fingerprint || ' ' || parts_fingerprint from ${STORE_SCHEMA}.baseline));
    end;
    $$;

    -- That, and all the rest. The rows of catalogues are looked at only if their pages do not say that they are
    -- still the known ones.
    create or replace function pg_temp.read_versions(p_known jsonb)
    returns jsonb
    language plpgsql
    stable
    as $$
    declare
      v_pages constant text := pg_temp.read_pages();
      v_others         jsonb;
    begin
      v_others := pg_temp.read_written() || jsonb_build_object(
        'tables', (
          ${tableVersionsSql(tables.filter((table) => !NOTES.includes(table)))}),
        'settings', (
          ${databaseSettingsSql(oid)}));
      if v_pages = p_known ->> 'pages' then
        return v_others || jsonb_build_object('pages', v_pages, 'catalogs', p_known -> 'catalogs');
      end if;
      -- A statement of its own: its plan is only made where it is needed.
      return v_others || jsonb_build_object(
        'pages', case when not exists (select from pg_temp.list_unmarked()) then v_pages end,
        'catalogs', (
          ${catalogVersionsSql(catalogs)}));
    end;
    $$;

    -- Resets the database, unless a session is in it, or something is wrong that a reset leaves alone. Each
    -- statement sees what was committed before it: the versions are read after the last session has ended.
    create or replace function pg_temp.clean_database(
      p_lock_first      text,
      p_lock_timeout_ms int,
      p_known           jsonb  -- The versions of the clean database; null of a new one.
    )
    returns jsonb
    language plpgsql
    as $$
    declare
      c_catalogs constant text[] := '{catalogs,pages}';
      v_is_open  boolean;
      v_sessions int;
      v_before   jsonb;
      v_written  jsonb;
      v_is_same  boolean;
    begin
      -- Ages count from the transaction's own number, or from the next one while it has none: so that it does
      -- not look older than what it writes.
      perform pg_current_xact_id();
      select is_open, sessions into v_is_open, v_sessions
        from (
          ${presenceSql(oid, name)}
        ) as presence;
      if not found or v_is_open or v_sessions > 0 then
        return jsonb_build_object('isOpen', v_is_open, 'sessions', v_sessions);
      end if;

      v_before := pg_temp.read_versions(p_known);
      if v_before - c_catalogs <> p_known - c_catalogs then
        return jsonb_build_object('isOpen', false, 'sessions', 0, 'before', v_before);
      end if;

      v_is_same := coalesce(v_before -> 'catalogs' = p_known -> 'catalogs', false);
      perform pg_temp.reset_data(p_lock_first, p_lock_timeout_ms, null, false, v_is_same);

      -- A reset that wrote to a catalogue has recorded other fingerprints. It may have done so in
      -- subtransactions, whose numbers are higher than that of this transaction.
      v_written := pg_temp.read_written();
      return jsonb_build_object(
        'isOpen', false, 'sessions', 0, 'isReset', true, 'before', v_before, 'after',
        case when v_is_same and v_written ->> 'recorded' = p_known ->> 'recorded'
             then v_before || v_written
        end);
    end;
    $$`
}
