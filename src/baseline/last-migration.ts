import { sql } from '../postgres/sql-text.ts'

/** The last migration in the tool's history, by its hash. */
export const LAST_MIGRATION_SQL = sql`
  select hash
    from graphile_migrate.migrations
   order by length(filename) desc, filename desc
   limit 1`
