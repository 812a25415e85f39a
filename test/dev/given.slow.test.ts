// The same commands on a database that DATABASE_URL names.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createTestDatabase } from '../support/postgres.ts'
import { collect, createProject, exitOf, until } from './project.ts'

test('changing migrations on a given database', async (t) => {
  const { url, pool, name } = await createTestDatabase(t, { from: 'migrated' })
  const given = new URL(url)
  // A server that trusts every user accepts any password, so there is one to keep secret.
  given.password ||= 'a-password-to-hide'
  const { password } = given
  const shadow = new URL(given)
  shadow.pathname = `/${name}_shadow`
  const root = new URL(given)
  root.pathname = '/postgres'
  t.teardown(() => pool.query(`drop database if exists ${name}_shadow`))

  await t.test('without a shadow database a commit fails, and a watch works', async (t) => {
    const project = createProject(t, { DATABASE_URL: given.href })
    const change = 'create table if not exists public.watched ();\n'
    writeFileSync(join(project.migrationsDir, 'current.sql'), change)

    t.equal((await project.run('commit', 'A table')).exitCode, 2)
    t.equal(project.readCurrent(), change)
    const watch = project.start('cli.js', 'watch')
    const output = collect(watch)
    const ended = exitOf(watch)
    await until('applied', async () => {
      const { rows } = await pool.query("select to_regclass('public.watched') as found")
      return rows[0]?.found !== null
    })
    t.strictSame(
      listCommandLines().filter((line) => line.includes(password)),
      [],
    )
    process.kill(-Number(watch.pid), 'SIGINT')
    t.equal(await ended, 0)
    t.notMatch(output(), password)
  })

  await t.test(
    'a watch shows what PL/pgSQL can find wrong, whatever the database sets',
    async (t) => {
      await pool.query(`alter database ${name} set plpgsql.extra_errors = 'none'`)
      const project = createProject(t, { DATABASE_URL: given.href })
      const shadowing = `create or replace function public.shadowing() returns void language plpgsql
      as $$ declare one int; begin declare one int; begin end; end $$;\n`
      writeFileSync(join(project.migrationsDir, 'current.sql'), shadowing)

      const watch = project.start('cli.js', 'watch')
      const output = collect(watch)
      const ended = exitOf(watch)
      await until('shown', () => output().includes('shadows a previously defined variable'))
      process.kill(-Number(watch.pid), 'SIGINT')
      await ended
    },
  )

  await t.test('a shadow database that is another spelling of one in use is refused', async (t) => {
    for (const [setting, used] of [
      ['DATABASE_URL', given],
      ['ROOT_DATABASE_URL', root],
    ] as const) {
      const spelling = new URL(used)
      spelling.searchParams.set('application_name', 'another')
      const project = createProject(t, {
        DATABASE_URL: given.href,
        SHADOW_DATABASE_URL: spelling.href,
        ROOT_DATABASE_URL: root.href,
      })
      const change = 'create table public.never ();\n'
      writeFileSync(join(project.migrationsDir, 'current.sql'), change)
      const before = await pool.query('select oid from pg_database where datname = $1', [name])

      const { exitCode, output } = await project.run('commit', 'A table')

      t.equal(exitCode, 2, output)
      t.match(output, new RegExp(`same database as ${setting}`))
      t.equal(project.readCurrent(), change)
      const after = await pool.query('select oid from pg_database where datname = $1', [name])
      t.strictSame(after.rows, before.rows, 'it was not dropped')
    }
  })

  await t.test('with one, a commit works and prints no password', async (t) => {
    const project = createProject(t, {
      DATABASE_URL: given.href,
      SHADOW_DATABASE_URL: shadow.href,
      ROOT_DATABASE_URL: root.href,
    })
    const before = project.listCommitted()
    writeFileSync(
      join(project.migrationsDir, 'current.sql'),
      'drop table if exists public.watched;\n',
    )

    const { exitCode, output } = await project.run(
      'commit',
      'No table',
      '--allow=squawk/ban-drop-table',
    )

    t.equal(exitCode, 0, output)
    t.equal(project.listCommitted().length, before.length + 1)
    t.notMatch(output, password)
    const status = await project.run('status')
    t.equal(status.output.match(/^applied/gm)?.length, before.length + 1)
  })
})

/** Of every process on the machine, where the system shows them. */
function listCommandLines(): string[] {
  try {
    const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))
    return pids.flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
      } catch {
        return []
      }
    })
  } catch {
    return []
  }
}
