import { test } from 'tap'
import { captureBaseline } from '../../../src/baseline/capture.ts'
import { createTestRole } from '../../support/roles.ts'
import { connect, createResetWorld } from '../world.ts'

/** More than a megabyte: a table of this size is truncated rather than deleted row by row. */
const LARGE = `select n, repeat('x', 1000) from generate_series(1, 2000) as n`

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
