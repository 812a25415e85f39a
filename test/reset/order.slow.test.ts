import { test } from 'tap'
import { compareSnapshots, takeSnapshot } from './snapshot.ts'
import { createResetWorld } from './world.ts'

test('foreign keys of single partitions decide the order, too', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    // In reverse order of their names, both parents would be emptied first.
    schema: `
      create table public.z_parent (id int primary key);
      create table public.a_parts (number int, parent_id int) partition by range (number);
      create table public.part_one partition of public.a_parts for values from (0) to (9);
      alter table public.part_one add foreign key (parent_id) references public.z_parent;

      create table public.y_parts (number int primary key) partition by range (number);
      create table public.part_two partition of public.y_parts for values from (0) to (9);
      create table public.b_child (number int references public.part_two);

      insert into public.z_parent values (1);
      insert into public.a_parts values (1, 1);
      insert into public.y_parts values (1);
      insert into public.b_child values (1);`,
  })
  const before = await takeSnapshot(world.pool)
  await world.pool.query(`
    insert into public.z_parent values (2);
    insert into public.a_parts values (2, 2);
    insert into public.y_parts values (2);
    insert into public.b_child values (2)`)

  await world.reset()

  t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [])
})

test('a large table is truncated together with its referrers and theirs', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `
      create table public.orders (id int primary key, note text);
      create table public.order_line (id int primary key, order_id int references public.orders);
      create table public.order_line_note (order_line_id int references public.order_line)`,
  })
  const readFile = async () =>
    (await world.pool.query(`select pg_relation_filenode('public.orders') as file`)).rows[0].file
  const file = await readFile()
  await world.pool.query(
    `insert into public.orders select n, repeat('x', 1000) from generate_series(1, 2000) as n`,
  )

  const { result } = await world.reset()

  t.same(result.tables, { emptied: ['public.orders'], restored: [] })
  t.not(await readFile(), file, 'truncated, not deleted')
})

test('truncating a large table fires no trigger', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `
      create table public.orders (id int primary key, note text);
      create function public.tg_orders__forbid() returns trigger language plpgsql
        as $$ begin raise exception 'a trigger fired'; end $$;
      create trigger forbid before truncate on public.orders
        for each statement execute function public.tg_orders__forbid()`,
  })
  await world.pool.query(
    `insert into public.orders select n, repeat('x', 1000) from generate_series(1, 2000) as n`,
  )

  const { result } = await world.reset()

  t.same(result.tables, { emptied: ['public.orders'], restored: [] })
  await t.rejects(world.pool.query('truncate public.orders'), { message: 'a trigger fired' })
})

test('materialized views are refreshed in the order in which they build on each other', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `
      create table public.things (amount int);
      create materialized view public.z_base as select count(*) from public.things;
      create materialized view public.a_above as select * from public.z_base`,
  })
  const before = await takeSnapshot(world.pool)
  await world.pool.query(`
    insert into public.things values (1);
    refresh materialized view public.z_base;
    refresh materialized view public.a_above`)

  await world.reset()

  t.same(compareSnapshots(before, await takeSnapshot(world.pool)), [])
})
