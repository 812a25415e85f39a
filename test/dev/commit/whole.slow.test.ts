// A whole commit, by the command: what it changes, and that whatever fails changes no byte.
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.ts'
import { projectDir } from '../../support/server.ts'
import { collect, createProject, type DevelopmentProject, exitOf, until } from '../project.ts'

const FOLDERS = ['migrations', 'schema', 'docs', 'client', 'test']
const FIXTURE = 'commandbus/functions/sp_start_batch.sql'

test('a commit renews what describes the schema, and an uncommit takes it back', async (t) => {
  const { project } = await open(t)
  changeFixture(project)
  const before = readFiles(project.dir)

  const { exitCode, output } = await project.run('commit', 'Do not wait')

  t.equal(exitCode, 0, output)
  t.match(output, /^committed {2}migrations\/committed\/000003-do-not-wait\.sql$/m)
  t.match(output, /^changed {4}function commandbus\.sp_start_batch\(text, uuid\)$/m)
  t.match(output, /^renewed {4}schema\/commandbus\/functions\/sp_start_batch\.sql$/m)
  t.match(
    output,
    /^tests {6}\d+ mention sp_start_batch: npm test -- test\/schema\/commandbus\/functions\/sp_start_batch\.test\.ts /m,
  )
  t.match(output, /^unchecked {2}the statements inside PL\/pgSQL functions: .* no plpgsql_check$/m)
  t.strictSame(listDifferences(before, readFiles(project.dir)), [
    'migrations/committed/000003-do-not-wait.sql',
    'migrations/current.sql',
    'schema/commandbus/functions/sp_start_batch.sql',
  ])
  t.match((await project.run('status')).output, /applied {2}000003-do-not-wait\.sql\nempty/)

  const uncommitted = await project.run('uncommit')

  t.equal(uncommitted.exitCode, 0, uncommitted.output)
  t.match(project.readCurrent(), `--! Message: Do not wait\n\n--!include ${FIXTURE}\n`)
  t.strictSame(listDifferences(before, readFiles(project.dir)), ['migrations/current.sql'])
  t.notMatch((await project.run('status')).output, '000003')
})

test('a failure changes no byte', async (t) => {
  const { project, database } = await open(t)
  const wrong: Record<string, [sql: string, code: number, message: RegExp]> = {
    'an error of the migration': [
      'select 1;\nselect commandbus.no_such_function();\n',
      4,
      /^\S*migrations\/current\.sql:2: function commandbus\.no_such_function\(\) does not exist \(42883\)\n {2}2 \| select commandbus\.no_such_function\(\);\n {13}\^\n/m,
    ],
    'a refusal': ['create table commandbus.t ();\n', 5, /\(not-repeatable\)/],
    'a file that no service would run': [
      'select 1;\ncommit;\n',
      5,
      /current\.sql:2: .*"commit" begins, ends or prepares a transaction/,
    ],
    'a type that has no TypeScript type': [
      `create or replace function commandbus.sp_t(p_value bytea) returns void language sql
set search_path = pg_catalog, pg_temp as '';
comment on function commandbus.sp_t(bytea) is 'T.';
revoke all on function commandbus.sp_t(bytea) from public;\n`,
      4,
      /no TypeScript type for bytea yet: add it to TYPES/,
    ],
    'an error that only the development database has': [
      `do $$
begin
  if exists (select from pg_catalog.pg_class where relname = 'only_here') then
    raise exception 'a row is in the way';
  end if;
end
$$;\n`,
      4,
      /^\S*migrations\/current\.sql:4: a row is in the way \(P0001\)[\s\S]*failed in the development database, though not in the shadow/m,
    ],
  }
  await database.pool.query('create table public.only_here ()')
  for (const [what, [sql, code, message]] of Object.entries(wrong)) {
    await t.test(what, async (t) => {
      writeFileSync(join(project.migrationsDir, 'current.sql'), sql)
      changeFixture(project)
      const before = readFiles(project.dir)

      const allow = what === 'a refusal' ? [] : ['--allow=fixture-not-included']
      const { exitCode, output } = await project.run('commit', 'It fails', ...allow)

      t.equal(exitCode, code, output)
      t.match(output, message)
      t.strictSame(listDifferences(before, readFiles(project.dir)), [])
      t.notMatch((await project.run('status')).output, '000003')
    })
  }
})

test('a commit that is killed leaves nothing half done', async (t) => {
  const { project, database } = await open(t)
  const shadow = `${database.name}_shadow`
  for (const [where, name] of [
    ['in the shadow database', shadow],
    ['in the development database', database.name],
  ] as const) {
    await t.test(where, async (t) => {
      const current = `select pg_sleep(60) from pg_catalog.pg_database where datname = current_database() and datname = '${name}';\n`
      writeFileSync(join(project.migrationsDir, 'current.sql'), current)
      const before = readFiles(project.dir)
      const commit = project.start('cli.js', 'commit', 'Sleep')
      const output = collect(commit)
      const ended = exitOf(commit)
      await until('it sleeps', async () => {
        if (commit.exitCode !== null) throw new Error(output())
        return (await findSleeping(database, name)) !== undefined
      })
      process.kill(-Number(commit.pid), 'SIGKILL')
      await ended
      await database.pool.query('select pg_terminate_backend($1)', [
        await findSleeping(database, name),
      ])

      t.strictSame(listDifferences(before, readFiles(project.dir)), [])
      writeFileSync(
        join(project.migrationsDir, 'current.sql'),
        "comment on schema commandbus is 'A bus.';\n",
      )
      const next = await project.run('commit', 'A bus')
      t.equal(next.exitCode, 0, next.output)
      t.equal(
        next.output.includes('was killed before it changed anything'),
        name !== shadow,
        next.output,
      )
      t.notOk(existsSync(join(project.migrationsDir, '.unfinished-commit.json')))
      t.equal((await project.run('uncommit')).exitCode, 0)
    })
  }
})

test('of two commits at once, the second says so', async (t) => {
  const { project, database } = await open(t)
  const shadow = `${database.name}_shadow`
  writeFileSync(join(project.migrationsDir, 'current.sql'), 'select pg_sleep(60);\n')
  const first = project.start('cli.js', 'commit', 'Sleep')
  const ended = exitOf(first)
  await until('it sleeps', async () => (await findSleeping(database, shadow)) !== undefined)

  for (const command of ['commit', 'uncommit']) {
    const { exitCode, output } = await project.run(
      command,
      ...(command === 'commit' ? ['Two'] : []),
    )
    // An uncommit is refused earlier, for the last migration is released.
    t.equal(exitCode, command === 'commit' ? 6 : 5, output)
    if (command === 'commit') {
      t.match(
        output,
        /^db:commit needs the shadow database \w+ for itself, and another db:commit or db:uncommit uses it \(commandbus-db db:commit of process \d+, since \d\d:\d\d:\d\d\); nothing was changed: run this again when that one has ended$/m,
      )
    }
  }
  process.kill(-Number(first.pid), 'SIGTERM')
  t.equal(await ended, 4, 'the first is interrupted')
  t.equal(project.readCurrent(), 'select pg_sleep(60);\n')
})

/** A project with all that a commit renews, on a database of its own. */
async function open(t: Test): Promise<{ project: DevelopmentProject; database: TestDatabase }> {
  const database = await createTestDatabase(t, { from: 'migrated' })
  const { name, pool } = database
  t.teardown(() => pool.query(`drop database if exists ${name}_shadow with (force)`))
  const at = (path: string) => {
    const url = new URL(database.url)
    url.pathname = `/${path}`
    return url.href
  }
  const project = createProject(t, {
    DATABASE_URL: database.url,
    SHADOW_DATABASE_URL: at(`${name}_shadow`),
    ROOT_DATABASE_URL: at('postgres'),
  })
  for (const path of ['schema', 'docs/schema', 'docs/use', 'client/schema', 'test/schema']) {
    cpSync(join(projectDir, path), join(project.dir, path), { recursive: true })
  }
  return { project, database }
}

function changeFixture(project: DevelopmentProject): void {
  const path = join(project.migrationsDir, 'fixtures', FIXTURE)
  writeFileSync(path, readFileSync(path, 'utf8').replace('p_wait => true', 'p_wait => false'))
  const current = join(project.migrationsDir, 'current.sql')
  if (readFileSync(current, 'utf8').startsWith('-- Enter'))
    writeFileSync(current, `--!include ${FIXTURE}\n`)
}

async function findSleeping({ pool }: TestDatabase, database: string): Promise<number | undefined> {
  const { rows } = await pool.query<{ pid: number }>(
    "select pid from pg_stat_activity where datname = $1 and wait_event = 'PgSleep'",
    [database],
  )
  return rows[0]?.pid
}

/** Every file of the project but for the journal, which a killed commit may leave. */
function readFiles(dir: string): Map<string, string> {
  const paths = FOLDERS.flatMap((folder) =>
    readdirSync(join(dir, folder), { recursive: true, encoding: 'utf8' }).map((path) =>
      join(folder, path),
    ),
  )
  const files = paths.filter(
    (path) => statSync(join(dir, path)).isFile() && !path.endsWith('.unfinished-commit.json'),
  )
  return new Map(files.map((path) => [path, readFileSync(join(dir, path), 'latin1')]))
}

function listDifferences(one: Map<string, string>, other: Map<string, string>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])]
    .filter((path) => one.get(path) !== other.get(path))
    .sort()
}
