import { test } from 'tap'
import { readLargeOverview } from '../../src/catalog/large-overview.ts'
import { OVERVIEW_LIMIT, readSchemaOverview } from '../../src/catalog/overview.ts'
import { openClient } from '../../src/postgres/client.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('the overview has tables, keys, views and routines with their comments', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`
    create schema shop;
    comment on schema shop is 'What is sold.';
    create table shop.customer (id bigint primary key, name varchar(63) not null);
    comment on table shop.customer is 'Who buys.';
    create table shop.orders (
      id bigint, part int, customer_id bigint references shop.customer,
      primary key (part, id)) partition by list (part);
    create table shop.orders_1 partition of shop.orders for values in (1);
    create table shop.invoice (
      part int, order_id bigint, unique (order_id, part),
      foreign key (part, order_id) references shop.orders);
    create table public.note (invoice_part int, about bigint);
    alter table public.note add foreign key (invoice_part, about) references shop.invoice (part, order_id);
    create view shop.recent as select 1 as one;
    comment on view shop.recent is 'Of today.';
    create function shop.total(p_customer bigint, p_since date default '2026-01-01') returns numeric
      language sql as 'select 1.0';
    comment on function shop.total is 'Adds up.';
    create procedure shop.close_day(p_day date) language sql as 'select 1';
    create function shop.touch() returns trigger language plpgsql as 'begin return new; end';
    create aggregate shop.many(int) (sfunc = int4pl, stype = int);`)
  const client = await openClient(url, 'test')
  t.teardown(() => client.end())

  const [pub, shop, ...others] = await readSchemaOverview(client)

  t.strictSame(others, [])
  t.match(pub, { name: 'public', comment: String, tables: [{ name: 'note' }], views: [] })
  t.strictSame(pub?.tables[0]?.foreignKeys, [
    {
      columns: ['invoice_part', 'about'],
      parentSchema: 'shop',
      parentTable: 'invoice',
      parentColumns: ['part', 'order_id'],
      isUnique: false,
    },
  ])
  t.match(shop, { name: 'shop', comment: 'What is sold.' })
  t.strictSame(
    shop?.tables.map(({ name, comment, partitions }) => [name, comment, partitions]),
    [
      ['customer', 'Who buys.', 0],
      ['invoice', null, 0],
      ['orders', null, 1],
    ],
  )
  const [customer, invoice, orders] = shop?.tables ?? []
  t.strictSame(customer?.columns, [
    { name: 'id', type: 'bigint', isNullable: false, isPrimaryKey: true },
    { name: 'name', type: 'character varying(63)', isNullable: false, isPrimaryKey: false },
  ])
  t.match(invoice?.foreignKeys, [{ columns: ['part', 'order_id'], isUnique: true }])
  t.strictSame(orders?.foreignKeys, [
    {
      columns: ['customer_id'],
      parentSchema: 'shop',
      parentTable: 'customer',
      parentColumns: ['id'],
      isUnique: false,
    },
  ])
  t.strictSame(shop?.views, [{ name: 'recent', comment: 'Of today.' }])
  t.strictSame(
    shop?.routines.map(({ kind, name, arguments: args, result, comment }) => [
      kind,
      `${name}(${args})`,
      result,
      comment,
    ]),
    [
      ['procedure', 'close_day(IN p_day date)', null, null],
      ['aggregate', 'many(integer)', 'integer', null],
      [
        'function',
        "total(p_customer bigint, p_since date DEFAULT '2026-01-01'::date)",
        'numeric',
        'Adds up.',
      ],
      ['trigger', 'touch()', 'trigger', null],
    ],
  )
})

test('the overview leaves out an empty public schema, and what PostgreSQL, extensions and tools own', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'migrated' })
  await pool.query('create schema provisioning; create table provisioning.mark ()')
  const client = await openClient(url, 'test')
  t.teardown(() => client.end())

  const found = await readSchemaOverview(client)

  t.strictSame(
    found.map(({ name }) => name),
    ['commandbus', 'e2e'],
  )
  t.ok(found[0]?.routines.every(({ comment }) => comment !== null))
})

test('of a database with very many tables and routines, the first ones are read', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(`
    do $$ begin
      for number in 1..${OVERVIEW_LIMIT + 1} loop
        execute format('create function public.f%s() returns int language sql as ''select 1''', number);
      end loop;
    end $$;
    create table public.late ()`)
  const client = await openClient(url, 'test')
  t.teardown(() => client.end())

  const [schema] = await readSchemaOverview(client)

  t.equal(schema?.routines.length, OVERVIEW_LIMIT)
  t.notOk(
    schema?.routines.some(({ name }) => name === `f${OVERVIEW_LIMIT + 1}`),
    'the oldest',
  )
  t.match(schema?.tables, [{ name: 'late' }])

  t.match(await readLargeOverview(client), {
    counts: { tables: 1, views: 0, routines: OVERVIEW_LIMIT + 1 },
    schemaCount: 1,
    largestTables: [{ schema: 'public', name: 'late', partitions: 0, rows: null, bytes: null }],
  })
})

test('of more tables than are listed, the counts and the largest are read, partitions together', async (t) => {
  const { url, pool } = await createTestDatabase(t, { from: 'empty' })
  const client = await openClient(url, 'test')
  t.teardown(() => client.end())
  await pool.query(`
    create schema crm;
    create table crm.event (id int) partition by range (id);
    create table crm.event_1 partition of crm.event for values from (0) to (100000);
    create table crm.event_2 partition of crm.event for values from (100000) to (200000);
    create table crm.person (id int);
    create view crm.everyone as select id from crm.person;
    insert into crm.event select generate_series(99000, 100999);
    insert into crm.person select generate_series(1, 10)`)
  await pool.query('vacuum analyze crm.event_1, crm.event_2, crm.person')
  t.equal(await readLargeOverview(client), undefined, 'few enough to be listed')

  await pool.query(`
    do $$ begin
      for number in 1..${OVERVIEW_LIMIT - 2} loop
        execute format('create table public.t%s ()', number);
      end loop;
    end $$`)
  const found = await readLargeOverview(client)
  t.match(found, {
    counts: { tables: OVERVIEW_LIMIT, views: 1, routines: 0 },
    schemaCount: 2,
    schemas: [
      { name: 'public', tables: OVERVIEW_LIMIT - 2, views: 0 },
      { name: 'crm', tables: 2, views: 1 },
    ],
  })
  const block = 8192
  t.strictSame(found?.largestTables.slice(0, 2), [
    { schema: 'crm', name: 'event', partitions: 2, rows: 2000, bytes: 10 * block },
    { schema: 'crm', name: 'person', partitions: 0, rows: 10, bytes: block },
  ])
  t.equal(found?.largestTables.length, 20)
})
