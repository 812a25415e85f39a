import { test } from 'tap'
import { createResetWorld } from './world.ts'

test('a table is emptied without the tables that inherit from it', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create schema app;
             create table app.parent (label text);
             create table app.child () inherits (app.parent);
             insert into app.child values ('seed')`,
  })
  // Large enough to be truncated.
  await world.pool.query(
    `insert into app.parent select repeat('x', 1000) from generate_series(1, 3000)`,
  )

  const { result } = await world.reset()

  t.same(result.tables, { emptied: ['app.parent'], restored: [] })
  t.same((await world.pool.query('select label from app.parent')).rows, [{ label: 'seed' }])
})

test('columns are restored whose names the reset function uses itself', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create schema app;
             create table app.rows (whole_row text, stored int, content text);
             insert into app.rows values ('seed', 1, 'first'), (null, null, null)`,
  })
  await world.pool.query(`update app.rows set stored = 2, whole_row = 'changed'`)

  const { result } = await world.reset()

  t.same(result.tables, { emptied: [], restored: ['app.rows'] })
  t.same((await world.pool.query('select * from app.rows order by stored')).rows, [
    { whole_row: 'seed', stored: 1, content: 'first' },
    { whole_row: null, stored: null, content: null },
  ])
})

test('a table without columns to insert into gets its rows back', async (t) => {
  const world = await createResetWorld(t, {
    from: 'empty',
    schema: `create schema app;
             create table app.bare ();
             create table app.generated (two int generated always as (1 + 1) stored);
             insert into app.bare default values;
             insert into app.bare default values;
             insert into app.generated default values`,
  })
  await world.pool.query('delete from app.bare; insert into app.generated default values')

  const { result } = await world.reset()

  t.same(result.tables, { emptied: [], restored: ['app.bare', 'app.generated'] })
  t.equal((await world.pool.query('select from app.bare')).rowCount, 2)
  t.same((await world.pool.query('select two from app.generated')).rows, [{ two: 2 }])
})
