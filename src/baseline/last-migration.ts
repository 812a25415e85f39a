import { sql } from '../postgres/sql-text.ts'

/** The last migration in the tool's history, by its hash. */
export const LAST_MIGRATION_SQL = sql`
  select hash
    from graphile_migrate.migrations
   order by length(filename) desc, filename desc
   limit 1`

/** When current.sql was last applied, if it says something. */
export const LAST_CURRENT_SQL = sql`
  select max(date)
    from graphile_migrate.current
   where trim(content) <> ''`
