import type { Queryable } from '../postgres/client.ts'
import { sql } from '../postgres/sql-text.ts'

/** Whether PGMQ is installed, as an extension or by its SQL. */
export async function hasPgmq(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ exists: boolean }>(
    `select to_regclass('pgmq.meta') is not null as exists`,
  )
  return rows[0]?.exists === true
}

/** PGMQ's tables of a queue, the queue itself and its archive: quoted and qualified. */
export function queueTablesOf(queue: string): [string, string] {
  const quote = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`)
  const name = queue.toLowerCase()
  return [`pgmq.${quote(`q_${name}`)}`, `pgmq.${quote(`a_${name}`)}`]
}

/** Selects the names of all queues by their tables, which includes those that PGMQ's list has lost. */
export const QUEUE_TABLES_SQL = sql`
  select substr(relname, 3)
    from pg_class
   where relnamespace = to_regnamespace('pgmq')
     and relkind in ('r', 'p')
     and not relispartition
     and relname like 'q\\_%'`
