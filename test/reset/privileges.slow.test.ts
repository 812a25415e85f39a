import { type Test, test } from 'tap'
import { captureBaseline } from '../../src/baseline/capture.ts'
import { createTestRole } from '../support/roles.ts'
import { connect, createResetWorld } from './world.ts'

const SCHEMA = `
  create table public.granted (amount int);
  create sequence public.numbers;
  create function public.tg_nothing() returns trigger language plpgsql as 'begin return null; end';
  grant select, insert, delete on public.granted to public;
  grant select, update on public.numbers to public;`

test('a role resets tables and sequences that it does not own by its grants', async (t) => {
  const world = await createGrantedWorld(t, '')
  await world.pool.query(`insert into public.granted values (1); select nextval('public.numbers')`)

  const { result } = await world.reset()

  t.same(result.tables.emptied, ['public.granted'])
  t.same(result.sequences, ['public.numbers'])
})

test('grants are not enough for what only an owner can do, which is reported by name', async (t) => {
  for (const [change, relation] of [
    [
      `alter table public.granted enable row level security;
       create policy all_rows on public.granted using (true)`,
      'public.granted',
    ],
    [
      `create trigger on_delete after delete on public.granted
         for each statement execute function public.tg_nothing()`,
      'public.granted',
    ],
    ['create rule ignored as on update to public.granted do instead nothing', 'public.granted'],
    ['alter sequence public.numbers cache 5', 'public.numbers'],
    ['revoke delete on public.granted from public', 'public.granted'],
  ] as const) {
    const world = await createGrantedWorld(t, change)

    await t.rejects(
      world.reset(),
      { code: 'not_owner', statusCode: 409, extensions: { relations: [relation] } },
      change,
    )
  }
})

/** A plain role that resets objects of another one. */
async function createGrantedWorld(t: Test, change: string) {
  const owner = await createTestRole(t, 'nologin')
  const world = await createResetWorld(t, { from: 'empty', schema: SCHEMA, asOwner: true })
  await world.pool.query(`alter table public.granted owner to ${owner};
                          alter sequence public.numbers owner to ${owner}; ${change}`)
  // Captured by a superuser, from whom no row is hidden.
  const client = await connect(world.url)
  t.teardown(() => client.end())
  await captureBaseline(client)
  return world
}
