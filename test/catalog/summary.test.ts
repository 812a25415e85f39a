import { test } from 'tap'
import { inspectDatabase } from '../../src/catalog/summary.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('tables and functions are listed by schema', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(
    `create schema app;
     create table app.b (); create table app.a (); create view app.v as select 1;
     create function app.f() returns int language sql as 'select 1';
     create function app.f(int) returns int language sql as 'select 1';
     create schema bare`,
  )

  t.strictSame(await inspectDatabase(pool), {
    pgmq: null,
    schemas: {
      app: { tables: ['a', 'b'], functions: ['f'] },
      bare: { tables: [], functions: [] },
    },
  })
})

test('what belongs to an extension is left out, wherever it is', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(
    `create table public.of_extension (); create table public.of_user ();
     create function public.f_of_extension() returns int language sql as 'select 1';
     create function public.f_of_user() returns int language sql as 'select 1';
     create schema of_extension;
     alter extension plpgsql add table public.of_extension;
     alter extension plpgsql add function public.f_of_extension();
     alter extension plpgsql add schema of_extension`,
  )

  t.strictSame(await inspectDatabase(pool), {
    pgmq: null,
    schemas: { public: { tables: ['of_user'], functions: ['f_of_user'] } },
  })
})

test('an empty public schema is left out, and so are the schemas of the tools', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create schema graphile_migrate; create schema provisioning; create schema pgmq')

  t.strictSame(await inspectDatabase(pool), { pgmq: null, schemas: {} })
})

test('PGMQ is described by how it was installed', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query(
    `create schema pgmq; create table pgmq.meta ();
     create type pgmq.message_record as (msg_id int8, last_read_at timestamptz, vt timestamptz)`,
  )
  t.strictSame((await inspectDatabase(pool)).pgmq, {
    version: null,
    installedAs: 'sql',
    messageColumns: ['msg_id', 'last_read_at', 'vt'],
  })

  await pool.query('drop schema pgmq cascade; create extension pgmq')
  t.match((await inspectDatabase(pool)).pgmq, {
    version: /^\d/,
    installedAs: 'extension',
    messageColumns: ['msg_id', 'read_ct', 'enqueued_at'],
  })
})
