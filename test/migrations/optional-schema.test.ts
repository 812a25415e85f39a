import { type Test, test } from 'tap'
import { readMigrationStatus } from '../../src/migrations/history.ts'
import {
  chooseOptionalSchema,
  findOptionalSchema,
  type OptionalSchema,
} from '../../src/migrations/optional-schema.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'

const SCHEMA: OptionalSchema = {
  name: 'extras',
  placeholder: ':EXTRAS',
  setting: 'EXTRAS_SETTING',
  adoptedSchema: 'shop',
  wanted: undefined,
}
const BODIES = ['select 1;', `select ':EXTRAS';`, 'select 3;']

/** A database whose history has the first of the migrations, and perhaps the schema. */
async function createDatabase(t: Test, appliedCount: number, hasSchema: boolean) {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  const migrationsDir = createMigrationsFolder(t, BODIES)
  const { committed } = await readMigrationStatus(pool, migrationsDir)
  await pool.query(`
    create schema graphile_migrate;
    create table graphile_migrate.migrations
      (hash text, previous_hash text, filename text, date timestamptz default now());`)
  for (const { hash, previousHash, recordedAs } of committed.slice(0, appliedCount)) {
    await pool.query('insert into graphile_migrate.migrations values ($1, $2, $3)', [
      hash,
      previousHash,
      recordedAs,
    ])
  }
  if (hasSchema) await pool.query('create schema extras')
  const choose = async (wanted: OptionalSchema['wanted']) =>
    chooseOptionalSchema(pool, await readMigrationStatus(pool, migrationsDir), {
      ...SCHEMA,
      wanted,
    })
  const find = () => findOptionalSchema(pool, migrationsDir, SCHEMA)
  return { choose, find }
}

test('before the migration with the placeholder, the setting counts', async (t) => {
  for (const hasSchema of [true, false]) {
    const { choose } = await createDatabase(t, 1, hasSchema)

    t.strictSame(await choose(undefined), { value: 'on', ignored: undefined })
    t.strictSame(await choose('on'), { value: 'on', ignored: undefined })
    t.strictSame(await choose('off'), { value: 'off', ignored: undefined })
  }
})

test('after it, what the database has counts, and a different setting is reported', async (t) => {
  const withSchema = await createDatabase(t, 2, true)
  t.strictSame(await withSchema.choose(undefined), { value: 'on', ignored: undefined })
  t.strictSame(await withSchema.choose('on'), { value: 'on', ignored: undefined })
  t.match(await withSchema.choose('off'), {
    value: 'on',
    ignored: /^EXTRAS_SETTING=off is ignored: the database has the schema extras, /,
  })

  const without = await createDatabase(t, 2, false)
  t.strictSame(await without.choose('off'), { value: 'off', ignored: undefined })
  t.match(await without.choose('on'), {
    value: 'off',
    ignored: /^EXTRAS_SETTING=on is ignored: the database does not have the schema extras, /,
  })
})

test('a database without migrations has not decided', async (t) => {
  t.equal(await (await createDatabase(t, 0, true)).find(), undefined)
  t.equal(await (await createDatabase(t, 3, true)).find(), 'on')
  t.equal(await (await createDatabase(t, 3, false)).find(), 'off')
})

test('without a setting, an adopted database keeps what it has', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  const migrationsDir = createMigrationsFolder(t, BODIES)
  const choose = async (wanted?: OptionalSchema['wanted']) => {
    const status = await readMigrationStatus(pool, migrationsDir)
    return (await chooseOptionalSchema(pool, status, { ...SCHEMA, wanted })).value
  }
  const recordFirst = async () => {
    const { committed } = await readMigrationStatus(pool, migrationsDir)
    const { hash, previousHash, recordedAs } = committed[0] ?? {}
    await pool.query(`
      create schema graphile_migrate;
      create table graphile_migrate.migrations
        (hash text, previous_hash text, filename text, date timestamptz default now());`)
    await pool.query('insert into graphile_migrate.migrations values ($1, $2, $3)', [
      hash,
      previousHash,
      recordedAs,
    ])
  }

  await pool.query('create schema shop')
  t.equal(await choose(), 'off')
  t.equal(await choose('on'), 'on')
  t.equal(await choose('off'), 'off')
  await recordFirst()
  t.equal(await choose(), 'off', 'also after a crash between the two migrations')
  await pool.query('create schema extras')
  t.equal(await choose(), 'on')

  await pool.query('drop schema shop, graphile_migrate, extras cascade')
  await recordFirst()
  await pool.query('create schema shop')
  t.equal(await choose(), 'on', 'a schema that the first migration made is not adopted')
})
