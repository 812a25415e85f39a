import { test } from 'tap'
import { createResetWorld } from '../world.ts'

test('rows that forced row security hides are removed from a partitioned table', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `
      create table public.event (id int) partition by range (id);
      create table public.event_low partition of public.event for values from (0) to (100);
      create table public.event_high partition of public.event for values from (100) to (200);
      alter table public.event enable row level security, force row level security;
      create policy write_only on public.event for insert with check (true)`,
    asOwner: true,
  })
  await world.ownerPool.query('insert into public.event values (1), (150)')
  t.equal((await world.ownerPool.query('select from public.event')).rowCount, 0, 'hidden')

  const { result } = await world.reset()

  t.same(result.tables, { emptied: ['public.event'], restored: [] })
  t.equal((await world.pool.query('select from public.event')).rowCount, 0)
  const { rows } = await world.pool.query(
    `select relforcerowsecurity as forced from pg_class where oid = 'public.event'::regclass`,
  )
  t.same(rows, [{ forced: true }])
})
