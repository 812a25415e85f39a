import { Agent, request } from 'node:http'
import type pg from 'pg'
import type { ResetSession } from '../src/reset/session.ts'

/** Durations in milliseconds. */
export interface InsideServer {
  readonly commit: readonly number[]
  readonly reset: readonly number[]
}

/**
 * Measures resets and commits of one row by the server's own clock, in one block on the session of the resets:
 * without any connection, client or driver.
 */
export async function measureInsideServer(
  { client }: Pick<ResetSession, 'client'>,
  dirt: string,
  rounds: number,
): Promise<InsideServer> {
  await client.query(`
    create table if not exists pg_temp.duration (what text, ms float8);
    truncate pg_temp.duration`)
  await client.query(`
    do $block$
    declare
      v_started_at timestamptz;
      v_outcome    jsonb;
      v_known      jsonb;
    begin
      for round in 0..${rounds} loop
        ${dirt
          .split(';')
          .map((statement) => `execute $dirt$${statement}$dirt$;`)
          .join('\n')}
        commit;
        perform set_config('search_path', 'pg_catalog, pg_temp', false);
        v_started_at := clock_timestamp();
        v_outcome := pg_temp.reset_data(null, 5000, v_known, false);
        commit;
        if round > 0 then
          insert into pg_temp.duration
          values ('reset', 1000 * extract(epoch from clock_timestamp() - v_started_at));
        end if;
        v_known := v_outcome -> 'known';
        commit;
        v_started_at := clock_timestamp();
        update provisioning.baseline set captured_at = captured_at;
        commit;
        if round > 0 then
          insert into pg_temp.duration
          values ('commit', 1000 * extract(epoch from clock_timestamp() - v_started_at));
        end if;
        commit;
      end loop;
    end $block$`)
  const { rows } = await client.query<{ what: 'commit' | 'reset'; ms: number }>(
    'select what, ms from pg_temp.duration',
  )
  const of = (name: string) => rows.filter(({ what }) => what === name).map(({ ms }) => ms)
  return { commit: of('commit'), reset: of('reset') }
}

/** Posts over one connection that is kept, by Node.js's own client: with less of its own than fetch. */
export function createPoster(url: string, headers: Readonly<Record<string, string>>) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    post: () =>
      new Promise<void>((resolve, reject) => {
        const sent = request(url, { agent, method: 'POST', headers }, (response) => {
          response.resume()
          response.once('end', () =>
            response.statusCode === 200
              ? resolve()
              : reject(new Error(`${url} answered ${response.statusCode}`)),
          )
        })
        sent.once('error', reject)
        sent.end()
      }),
    close: () => agent.destroy(),
  }
}

/** A bare commit: one row updated. */
export async function createFloor(client: pg.Client): Promise<() => Promise<unknown>> {
  await client.query('create table floor (n int); insert into floor values (0)')
  return () => client.query({ name: 'floor', text: 'update floor set n = n + 1' })
}
