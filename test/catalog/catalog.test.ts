import { test } from 'tap'
import { differencesSql } from '../../src/catalog/diff.ts'
import { groupTables, listForeignKeys, withReferrers } from '../../src/catalog/foreign-keys.ts'
import { objectsSql } from '../../src/catalog/objects.ts'
import { listMaterializedViews, listSequences, listTables } from '../../src/catalog/tables.ts'
import { createTestDatabase } from '../support/postgres.ts'

const SCHEMA = `
  create table public.orders (id int generated always as identity primary key, twice int generated always as (2) stored);
  create table public.order_line (order_id int references public.orders deferrable);
  create materialized view public.summary as select count(*) from public.orders;
  create function public.tg_nothing() returns trigger language plpgsql as 'begin return null; end';
  create trigger changed after insert or update on public.orders
    for each row execute function public.tg_nothing();
  create trigger off after delete on public.orders for each row execute function public.tg_nothing();
  alter table public.orders disable trigger off;
  create rule keep as on delete to public.order_line do instead nothing;`

test('the catalogue is read without a store', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(SCHEMA)

  const tables = await listTables(pool)

  t.match(
    tables.map(({ oid, ...table }) => table),
    [
      {
        name: 'public.order_line',
        isPartitioned: false,
        columns: ['order_id'],
        triggers: [],
        rules: [{ table: 'public.order_line', name: 'keep', enabled: 'O', events: ['delete'] }],
        isRowSecurityActive: false,
      },
      {
        name: 'public.orders',
        columns: ['id'],
        triggers: [{ name: 'changed', enabled: 'O', events: ['insert', 'update'] }],
        rules: [],
      },
    ],
  )
  t.match(await listMaterializedViews(pool), [{ name: 'public.summary', isPopulated: true }])
  t.match(await listSequences(pool), [{ name: 'public.orders_id_seq', isCached: false }])
  t.same(await listForeignKeys(pool), [
    { child: 'public.order_line', parent: 'public.orders', isDeferrable: true },
  ])
})

test('definitions are compared with those of any query, such as another point in time', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(SCHEMA)
  await pool.query(`create table public.earlier as ${objectsSql(false)}`)
  await pool.query(`
    alter table public.orders add note text;
    drop materialized view public.summary;
    create or replace function public.tg_nothing() returns trigger language plpgsql
      as 'begin return new; end'`)

  const stored = 'select kind, name, definition from public.earlier'
  const { rows } = await pool.query(differencesSql({ stored, hasPgmq: false }))

  t.same(
    rows
      .filter(({ name }) => !name.startsWith('public.earlier'))
      .map(({ change, kind, name }) => `${change} ${kind} ${name}`),
    [
      'changed table public.orders',
      'added column public.orders.note',
      'taken away materialized view public.summary',
      'taken away column public.summary.count',
      'changed function tg_nothing()',
    ],
  )
})

test('tables that refer to each other in a circle are one group, after those they refer to', (t) => {
  const names = ['a', 'b', 'c', 'd'].map((name) => ({ name }))
  const key = (child: string, parent: string) => ({ child, parent, isDeferrable: false })

  const groups = groupTables(names, [key('a', 'b'), key('b', 'c'), key('c', 'b'), key('d', 'd')])

  t.same(
    groups.map((group) => group.map(({ name }) => name)),
    [['b', 'c'], ['a'], ['d']],
  )
  t.end()
})

test('the referrers of a table include those that refer to it through others', (t) => {
  const key = (child: string, parent: string) => ({ child, parent, isDeferrable: false })

  const referrers = withReferrers('a', [key('c', 'b'), key('b', 'a'), key('x', 'y')])

  t.same(referrers, ['a', 'b', 'c'])
  t.end()
})
