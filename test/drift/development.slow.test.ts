// What a developer changes by current.sql is no drift; what is changed by hand beside it is.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { ensureRecorder } from '../../src/baseline/recorder.ts'
import { compareWithRecord } from '../../src/drift/compare.ts'
import { collect, createProject, exitOf, until } from '../dev/project.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('current.sql, its commit and its uncommit are no drift', async (t) => {
  const { url, pool, name, open } = await createTestDatabase(t, { from: 'migrated' })
  const at = (database: string) => Object.assign(new URL(url), { pathname: `/${database}` }).href
  const project = createProject(t, {
    DATABASE_URL: url,
    SHADOW_DATABASE_URL: at(`${name}_shadow`),
    ROOT_DATABASE_URL: at('postgres'),
  })
  t.teardown(() => pool.query(`drop database if exists ${name}_shadow`))
  const session = await open('test')
  t.teardown(() => session.end())
  await ensureRecorder(session)
  await session.query('select provisioning.record_schema()')
  const current = join(project.migrationsDir, 'current.sql')
  const watch = project.start('cli.js', 'watch')
  const output = collect(watch)
  const ended = exitOf(watch)
  const saved = (count: number) =>
    until(`applied ${count} saves`, () => output().split('current.sql: ').length > count)
  await until('watching', () => output().includes('watching '))

  writeFileSync(current, 'alter table e2e.config add column if not exists note text;\n')
  await saved(1)
  t.match(await compareWithRecord(session), { inSync: true })
  const asApplied =
    /^in sync {2}nothing but the migrations and current\.sql has changed the schema$/m
  t.match((await project.run('status')).output, asApplied)
  writeFileSync(current, '')
  await saved(2)
  const emptied = (await project.run('status')).output
  t.match(emptied, asApplied, 'an empty file undoes nothing')
  t.match(emptied, /^left over {2}column e2e\.config\.note added: /m)
  await pool.query('create table e2e.by_hand (id int)')
  const byHand = [{ kind: 'table', name: 'e2e.by_hand', change: 'added', detail: 'columns id' }]
  t.match(await compareWithRecord(session), { inSync: false, differences: byHand })

  writeFileSync(
    current,
    'alter table e2e.config drop column if exists note; create table if not exists e2e.by_hand (id int);\n',
  )
  await saved(3)
  t.strictSame((await compareWithRecord(session)).differences, byHand)
  process.kill(-Number(watch.pid), 'SIGINT')
  t.equal(await ended, 0, output())

  const status = await project.run('status')
  t.match(status.output, /^drift {4}table e2e\.by_hand added: columns id$/m)
  const committed = await project.run(
    'commit',
    'A change',
    '--allow=missing-comment,squawk/ban-drop-column',
  )
  t.equal(committed.exitCode, 0, committed.output)
  t.strictSame((await compareWithRecord(session)).differences, byHand)
  t.equal((await project.run('uncommit')).exitCode, 0)
  t.strictSame((await compareWithRecord(session)).differences, byHand)

  await pool.query('drop table e2e.by_hand')
  t.match(
    (await project.run('status')).output,
    /^in sync {2}nothing but the migrations has changed the schema$/m,
  )

  await pool.query(
    `update graphile_migrate.current set content = 'select 1', date = now() + interval '1 second'`,
  )
  t.match(
    (await project.run('status')).output,
    /^unknown {2}.*current\.sql was applied by another program/m,
  )
})
