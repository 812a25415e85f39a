import type { Client } from 'pg'
import type { TestDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'
import { connect, type Teardown } from './world.ts'

const HOLD_KEY = 20261122

/**
 * A table whose row can be inserted only while no test holds it. The reset restores the row, so a test can
 * stop a reset in its middle. The check sleeps rather than waits for a lock, to be free of lock timeouts.
 */
export const HELD_TABLE = `
  create function public.wait_while_held() returns bool language plpgsql as $$
  begin
    while exists (select from pg_locks
                   where locktype = 'advisory' and objid = ${HOLD_KEY}
                     and database = (select oid from pg_database where datname = current_database()))
    loop
      perform pg_sleep(0.005);
    end loop;
    return true;
  end;
  $$;
  create table public.held (amount int check (public.wait_while_held()));
  insert into public.held values (1);`

/** Makes the next reset stop in its middle. */
export async function holdReset(t: Teardown, { url, pool }: Pick<TestDatabase, 'url' | 'pool'>) {
  await pool.query('update public.held set amount = 2')
  const holder: Client = await connect(url)
  t.teardown(() => holder.end().catch(() => {}))
  await holder.query('select pg_advisory_lock($1)', [HOLD_KEY])
  return {
    /** Waits until the reset has arrived there; returns its process id. */
    async arrival(): Promise<number> {
      let pid: number | undefined
      await until('the reset stops in its middle', async () => {
        const { rows } = await pool.query<{ pid: number }>(
          `select pid from pg_stat_activity
            where datname = current_database() and query like '%pg_temp.reset_data%'
              and wait_event = 'PgSleep'`,
        )
        pid = rows[0]?.pid
        return pid !== undefined
      })
      return pid as number
    },
    async release(): Promise<void> {
      await holder.query('select pg_advisory_unlock($1)', [HOLD_KEY])
    },
  }
}
