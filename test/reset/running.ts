import type { Test } from 'tap'
import { type Answer, type Service, startService } from '../support/service.ts'

export const TOKEN = 'a-token-long-enough'

/** Two migrations that insert a row each, and changes to their rows. */
export const THINGS = {
  first: `create table public.things (id serial primary key, label text);
          insert into public.things (label) values ('seed')`,
  second: `insert into public.things (label) values ('second seed')`,
  dirt: `delete from things; insert into things (label) values ('dirt'), ('more')`,
} as const

/** A service with reset switched on. */
export interface ResettingService extends Service {
  reset(body?: unknown, signal?: AbortSignal): Promise<Answer>
}

/** Starts a service with reset switched on, and waits until it is ready, unless it will not be. */
export async function startResetting(
  t: Test,
  env: Record<string, string>,
  { isReady = true, entry = 'dist/app/server.js' } = {},
): Promise<ResettingService> {
  const settings = { RESET_ENABLED: 'true', RESET_TOKEN: TOKEN, ...env }
  const service = startService(t, settings, [process.execPath, entry])
  if (isReady) await service.waitForReady()
  return {
    ...service,
    reset: (body, signal) =>
      service.request('/reset', {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal !== undefined && { signal }),
      }),
  }
}
