import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/**
 * A sign that nobody has written to a catalogue, at a tenth of the cost of looking at its rows: how many pages
 * it has, and what its visibility map says. In the map PostgreSQL marks the pages whose rows all sessions see.
 *
 * - To insert, update or delete a row takes the mark of its page away, in the same critical section.
 *   There is no other way to write a row, also not for a superuser.
 * - Only VACUUM marks a page again, which gives the map's own page the position of that record in the
 *   write-ahead log. Positions never come again.
 * - Nothing can be taken away from a page without a mark, and new pages have none: the sign only says something
 *   if all pages were marked when it was read first.
 *
 * So if the number of pages, the position and the marks are the same, then no row is another one. Statistics
 * and flags that PostgreSQL writes in place take no mark away, and do not count in a fingerprint either.
 */

/** The first bytes of a page: the position in the log. The marks begin behind the header. */
const POSITION_BYTES = 8
const HEADER_BYTES = 24

/**
 * Creates functions of the session for these catalogues: `pg_temp.read_pages()` for the sign, and
 * `pg_temp.list_unmarked()`. Reading a page takes PostgreSQL's own module pageinspect, and a superuser, who may
 * use it without creating an extension; without them the sign is null.
 */
export async function createPageFunctions(
  client: Queryable,
  catalogs: readonly string[],
): Promise<void> {
  const readCatalogs = async () =>
    (await client.query<Catalog>({ text: CATALOGS_WITH_PAGES_SQL, values: [catalogs] })).rows
  const found = await readCatalogs()
  const unmapped = found.filter(({ hasPages, hasMap }) => hasPages && !hasMap)
  // A catalogue has a map as soon as VACUUM has seen it.
  if (unmapped.length > 0) await vacuum(client, unmapped)
  const readable = unmapped.length > 0 ? await readCatalogs() : found
  await client.query(readable.length === 0 ? NO_PAGES : pageFunctionsSql(readable))
}

interface Catalog {
  readonly name: string
  readonly hasPages: boolean
  readonly hasMap: boolean
}

/** Lets VACUUM mark the pages that are not marked: those that the functions of this session were written to. */
export async function markPages(client: Queryable): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    'select name from pg_temp.list_unmarked() as name',
  )
  if (rows.length === 0) return
  // A page is not marked before the transactions that wrote it are on disk: this one takes them along.
  await client.query(
    `set local synchronous_commit = on;
     select pg_catalog.pg_logical_emit_message(true, 'commandbus-db', '')`,
  )
  await vacuum(client, rows)
}

/** With the indexes: a page that has a dead item is not marked. */
async function vacuum(client: Queryable, catalogs: readonly { readonly name: string }[]) {
  const names = catalogs.map(({ name }) => name)
  await client.query(`vacuum (freeze, index_cleanup on, skip_locked) ${names.join(', ')}`)
}

/** None, unless their pages can be read. */
const CATALOGS_WITH_PAGES_SQL = sql`
  select name,
         pg_catalog.pg_relation_size(name::pg_catalog.regclass) > 0 as "hasPages",
         pg_catalog.pg_relation_size(name::pg_catalog.regclass, 'vm') > 0 as "hasMap"
    from (select 'pg_catalog.' || name as name from pg_catalog.unnest($1::text[]) as name) as catalog
   where exists (select from pg_catalog.pg_roles where rolname = current_user and rolsuper)
     and exists (select from pg_catalog.pg_available_extension_versions
                  where name = 'pageinspect'
                    and pg_catalog.string_to_array(version, '.')::int[] >= '{1,9}')`

const NO_PAGES = sql`
  create or replace function pg_temp.read_pages()
  returns text
  language sql
  return null;

  create or replace function pg_temp.list_unmarked()
  returns setof text
  language sql
  begin atomic
    select null::text where false;
  end`

function pageFunctionsSql(catalogs: readonly Catalog[]): string {
  const values = catalogs.map(
    ({ name, hasMap }) =>
      `('${name}'::regclass, ${hasMap ? `pg_temp.read_page('${name}', 'vm', 0)` : 'null'})`,
  )
  return sql`
    create or replace function pg_temp.read_page(text, text, bigint)
    returns bytea
    language c
    strict
    as '$libdir/pageinspect', 'get_raw_page_fork_1_9';

    create or replace function pg_temp.read_maps(out catalog regclass, out pages int, out map bytea)
    returns setof record
    language plpgsql
    as $$
    begin
      return query
      select given.catalog, (pg_relation_size(given.catalog) / current_setting('block_size')::int)::int, given.map
        from (values
          ${values.join(',\n')}
        ) as given (catalog, map);
    end;
    $$;

    create or replace function pg_temp.read_pages()
    returns text
    language plpgsql
    as $$
    begin
      return (
        select sha256(string_agg(
                 int4send(pages) || coalesce(
                   substr(map, 1, ${POSITION_BYTES}) || substr(map, ${HEADER_BYTES + 1}, pages / 4 + 1), ''), ''))
          from pg_temp.read_maps());
    exception when others then
      -- VACUUM FULL has made a file without a map.
      return null;
    end;
    $$;

    -- The catalogues with pages that are not marked as visible to all and frozen, by two bits for each.
    create or replace function pg_temp.list_unmarked()
    returns setof text
    language plpgsql
    as $$
    begin
      return query
      select catalog::text
        from pg_temp.read_maps()
       where pages > 0
         and substr(map, ${HEADER_BYTES + 1}, (pages + 3) / 4) is distinct from
             decode(repeat('ff', pages / 4) || (array['', '03', '0f', '3f'])[pages % 4 + 1], 'hex');
    exception when others then
      -- As above.
    end;
    $$`
}
