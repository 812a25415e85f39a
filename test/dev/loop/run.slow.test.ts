// A change of fixtures, from the first save to the last, on a database.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createRun, type RunOptions } from '../../../dev/loop/run.ts'
import { ensureRecorder } from '../../../src/baseline/recorder.ts'
import { readCurrentChanges } from '../../../src/drift/current-changes.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'

test('a changed fixture includes itself, and is restored when it is as committed', async (t) => {
  const database = await createTestDatabase(t, { from: 'migrated' })
  const folder = createFolder(t)
  const migrationsDir = join(folder, 'migrations')
  cpSync(join(projectDir, 'migrations'), migrationsDir, { recursive: true })
  const current = join(migrationsDir, 'current.sql')
  const fixture = join(migrationsDir, 'fixtures/commandbus/functions/sp_start_batch.sql')
  const [emptyCurrent, committed] = [readFileSync(current, 'utf8'), readFileSync(fixture, 'utf8')]
  const notes: string[] = []
  const options: RunOptions = {
    ...{ readUrl: () => database.url, databaseName: database.name },
    ...{ migrationsDir, lockTimeoutMs: 2000, note: (text) => notes.push(text) },
    settings: { placeholders: { ':E2E_SCHEMA': 'on' } },
  }
  const readSource = async () => {
    const { rows } = await database.pool.query(
      `select prosrc from pg_proc where oid = 'commandbus.sp_start_batch(text, uuid)'::regprocedure`,
    )
    return rows[0]?.prosrc as string
  }
  t.strictSame(await readCurrentChanges(database.pool), [], 'without a record, nothing is known')
  await ensureRecorder(database.pool)
  await database.pool.query('select provisioning.record_schema()')
  const listChanges = async () => {
    const changes = await readCurrentChanges(database.pool)
    return changes.map(({ kind, name, change }) => `${kind} ${name} ${change}`)
  }
  const before = await readSource()
  const change = (text: string) =>
    writeFileSync(
      fixture,
      committed.replace('select commandbus', `/* ${text} */ select commandbus`),
    )
  const run = createRun(options)
  t.equal((await run()).failure, undefined)
  t.equal(readFileSync(current, 'utf8'), emptyCurrent)

  await t.test('a changed fixture includes itself and is live', async (t) => {
    change('changed')
    const { failure, changes } = await run()
    t.equal(failure, undefined)
    t.match(changes, [{ name: 'commandbus.sp_start_batch(text, uuid)', change: 'changed' }])
    t.strictSame(await listChanges(), ['function commandbus.sp_start_batch(text, uuid) changed'])
    t.match(await readSource(), /changed/)
    t.match(readFileSync(current, 'utf8'), '--!include commandbus/functions/sp_start_batch.sql\n')
  })

  await t.test('as committed again, it is restored and not included', async (t) => {
    // The tool forgets what was applied when something fails.
    writeFileSync(fixture, `${committed}nonsense;\n`)
    t.match((await run()).failure, { message: /syntax error/ })

    writeFileSync(fixture, committed)
    t.equal((await run()).failure, undefined)
    t.equal(await readSource(), before)
    t.equal(readFileSync(current, 'utf8'), emptyCurrent)
    t.strictSame(await listChanges(), [])
  })

  await t.test(
    'what current.sql has changed since it began is known after a failure, too',
    async (t) => {
      writeFileSync(current, 'create table if not exists public.added (id int primary key);\n')
      t.match((await run()).changes, [
        { name: 'public', change: 'added' },
        { name: 'public.added' },
      ])
      writeFileSync(current, 'nonsense;\n')
      await run()
      writeFileSync(
        current,
        'drop table if exists public.added;\ncreate view public.seen as select 1 as one;\n',
      )
      await run()
      t.strictSame(await listChanges(), ['schema public added', 'view public.seen added'])
      writeFileSync(current, `drop view if exists public.seen;\n`)
      await run()
      writeFileSync(current, emptyCurrent)
      t.equal((await run()).failure, undefined)
    },
  )

  await t.test('also if that happened while the loop was not running', async (t) => {
    change('again')
    await run()
    t.match(await readSource(), /again/)
    writeFileSync(fixture, committed)
    writeFileSync(current, emptyCurrent)

    t.equal((await createRun(options)()).failure, undefined)
    t.equal(await readSource(), before)
  })

  await t.test('what a new fixture made stays, and a note says so', async (t) => {
    const added = join(migrationsDir, 'fixtures/commandbus/functions/added.sql')
    writeFileSync(added, 'create or replace function commandbus.added() returns int return 1;\n')
    t.equal((await run()).failure, undefined)
    rmSync(added)
    t.equal((await run()).failure, undefined)
    t.strictSame(notes, [
      'fixtures/commandbus/functions/added.sql is gone: the database keeps what it made until you drop it',
    ])
    t.equal(readFileSync(current, 'utf8'), emptyCurrent)
  })
})
