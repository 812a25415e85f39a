import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** What two copies of one database have in common as long as no one changes more than rows in them. */
export interface WholeFingerprint {
  /** Every row of every catalogue: objects of any kind, comments, privileges, large objects. */
  readonly objects: string
  /**
   * What belongs to the database itself and is not copied from a template: its settings (also those of a role
   * in it), connection limit, privileges and comment.
   */
  readonly database: string
}

/**
 * Reads a fingerprint of everything but rows. It holds oids, so only copies of one database have the same:
 * an object that was dropped and created again counts as changed, and so do temporary tables until their
 * session ends. Rows, statistics, VACUUM and ANALYZE do not change it. Columns that this role may not read,
 * such as the connection strings of subscriptions, are left out. Takes no lock on any table of the user's.
 * Run it under the service's session settings.
 */
export async function readWholeFingerprint(client: Queryable): Promise<WholeFingerprint> {
  const { rows: catalogues } = await client.query<{ relname: string; columns: string }>(
    CATALOGUES,
    [[...IGNORED_CATALOGUES], [...IGNORED_COLUMNS]],
  )
  const { rows } = await client.query<WholeFingerprint>(wholeFingerprintSql(catalogues))
  return rows[0] as WholeFingerprint
}

/** Statistics, and the contents of large objects, which have a query of their own. */
const IGNORED_CATALOGUES = ['pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject']

/**
 * What changes without a change of the schema: the files of a table, estimates, ages of transactions, and
 * flags that stay set until the next VACUUM.
 */
const IGNORED_COLUMNS = [
  ...['relfilenode', 'relpages', 'reltuples', 'relallvisible', 'relallfrozen', 'relfrozenxid'],
  ...['relminmxid', 'relhasindex', 'relhasrules', 'relhastriggers', 'relhassubclass'],
  ...['indcheckxmin', 'attcacheoff', 'subskiplsn', 'subdbid'],
]

const CATALOGUES = `
  select relname, string_agg(quote_ident(attname), ', ' order by attnum) as columns
    from pg_class
    join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
   where relnamespace = 'pg_catalog'::regnamespace
     and relkind = 'r'
     and (not relisshared or relname = 'pg_subscription')
     and relname <> all ($1)
     and attname <> all ($2)
     and not (relname = 'pg_subscription' and attname = 'oid')
     and has_column_privilege(pg_class.oid, attnum, 'select')
   group by relname
   order by relname`

const IS_OF_THIS_DATABASE =
  'subdbid = (select oid from pg_database where datname = current_database())'

const TEMPORARY_SCHEMAS = `(select oid from pg_namespace where nspname ~ '^pg_(toast_)?temp_')`

/** Leaves out rows that come and go with sessions: the schemas of temporary objects, and what is in them. */
export const LASTING_ROWS: Readonly<Record<string, string>> = {
  pg_namespace: `nspname !~ '^pg_(toast_)?temp_'`,
  pg_class: `relpersistence <> 't'`,
  // The function of a session that serves resets is one.
  pg_proc: `pronamespace not in ${TEMPORARY_SCHEMAS}`,
  pg_depend: sql`
    (classid <> 'pg_proc'::regclass
     or objid not in (select oid from pg_proc where pronamespace in ${TEMPORARY_SCHEMAS}))`,
}

const CONDITIONS: Readonly<Record<string, string>> = {
  ...LASTING_ROWS,
  pg_subscription: IS_OF_THIS_DATABASE,
}

function wholeFingerprintSql(
  catalogues: readonly { readonly relname: string; readonly columns: string }[],
): string {
  const parts = catalogues.map(({ relname, columns }) => {
    const condition = CONDITIONS[relname]
    return sql`
      select hashtextextended('${relname} ' || row(${columns}), 0)
        from ${relname}
       where ${condition ?? true}`
  })
  return sql`
    select (select coalesce(sum(hash), 0)
              from (
                ${parts.join('\nunion all\n')}
                union all
                ${LARGE_OBJECTS}
              ) as object (hash)) as objects,
           ${DATABASE} as database`
}

/** An owner may read what is in a large object; of another role's, only its privileges count. */
const LARGE_OBJECTS = sql`
  select hashtextextended(oid || ' ' || md5(lo_get(oid)), 0)
    from pg_largeobject_metadata
   where pg_has_role(lomowner, 'usage')`

const DATABASE = sql`
  (select hashtextextended(
            concat_ws(
              ' ', datconnlimit, datacl::text, pg_get_userbyid(datdba),
              shobj_description(pg_database.oid, 'pg_database'),
              (select string_agg(coalesce(nullif(setrole, 0)::regrole::text, '') || setconfig::text, ' '
                                 order by setrole)
                 from pg_db_role_setting
                where setdatabase = pg_database.oid),
              (select string_agg(provider || ' ' || label, ' ' order by provider)
                 from pg_shseclabel
                where classoid = 'pg_database'::regclass and objoid = pg_database.oid)),
            0)
     from pg_database
    where datname = current_database())`
