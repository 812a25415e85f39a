import { test } from 'tap'
import { captureBaseline } from '../../../src/baseline/capture.ts'
import { createTestRole } from '../../support/roles.ts'
import { connect, createResetWorld } from '../world.ts'

/** More than a megabyte: a table of this size is truncated rather than deleted row by row. */
const LARGE = `select n, repeat('x', 1000) from generate_series(1, 2000) as n`

test('a table is large by its large values, too, and else by its rows', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `
      create table public.message (id int, payload text);
      alter table public.message alter payload set storage external;
      create table public.event (id int, payload text)`,
  })
  // The main file of each has a tenth of a megabyte.
  await world.pool.query(`
    insert into public.message select n, repeat('x', 3000) from generate_series(1, 2000) as n;
    insert into public.event select n, repeat('x', 30) from generate_series(1, 1500) as n`)

  const { result } = await world.reset()

  t.same(result.tables, { emptied: ['public.event', 'public.message'], restored: [] })
  const { rows: sizes } = await world.pool.query(`
    select pg_relation_size('public.message') as message, pg_relation_size('public.event') > 0 as event`)
  t.same(sizes, [{ message: '0', event: true }], 'one has new files, one has deleted rows')
})

test('a large table is not truncated together with a clean referrer that has triggers', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `
      create table public.log (event text);
      create table public.orders (id int primary key, note text);
      create table public.order_line (order_id int references public.orders);
      create function public.tg_order_line__log() returns trigger language plpgsql
        as 'begin insert into public.log values (tg_op); return null; end';
      create trigger log_truncate after truncate on public.order_line
        for each statement execute function public.tg_order_line__log()`,
  })
  await world.pool.query(`insert into public.orders ${LARGE}`)

  const { result } = await world.reset()

  t.same(result.tables, { emptied: ['public.orders'], restored: [] })
  const { rows: events } = await world.pool.query('select event from public.log')
  t.same(events, [], 'no trigger fired')
})

test('a role that may delete but not truncate deletes the rows of a large table', async (t) => {
  const tableOwner = await createTestRole(t, 'nologin')
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create table public.orders (id int primary key, note text);
             grant select, insert, delete on public.orders to public`,
    asOwner: true,
  })
  await world.pool.query(`alter table public.orders owner to ${tableOwner}`)
  const resetter = await connect(world.resetUrl)
  t.teardown(() => resetter.end())
  await captureBaseline(resetter)
  await world.pool.query(`insert into public.orders ${LARGE}`)

  const { result } = await world.reset()

  t.same(result.tables, { emptied: ['public.orders'], restored: [] })
  t.equal((await world.pool.query('select from public.orders')).rowCount, 0)
})
