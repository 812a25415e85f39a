// The switch that docs/use/from-flyway.md describes, with its commands, on a volume with data.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool } from 'pg'
import t from 'tap'
import { projectDir } from '../support/server.ts'
import { buildTestImage, needsEngine, testImage, until } from './docker.ts'
import { openStack, type Stack } from './stack.ts'

const example = join(projectDir, 'examples', 'from-flyway')
const read = (...path: string[]) => readFileSync(join(projectDir, ...path), 'utf8')
const page = read('docs', 'use', 'from-flyway.md')
const env = { COMMANDBUS_DB: testImage }

if (!needsEngine.skip) await buildTestImage(t)

t.test('the switch from Flyway, and the two ways back', needsEngine, async (t) => {
  const before = openStack(t, { directory: join(example, 'before') })
  const after = openStack(t, { directory: join(example, 'after'), name: before.name, env })
  const backup = mkdtempSync(join(tmpdir(), 'commandbus-from-flyway-'))
  t.teardown(() => rmSync(backup, { recursive: true, force: true }))

  await before.compose('up', '--detach')
  await untilTrue(
    before,
    `select bool_or(status = 'COMPLETED') and bool_or(in_troubleshooting_count > 0)
       from commandbus.batch`,
  )
  await before.compose('stop', 'application')
  // Messages that wait in the queue while the project is switched.
  await before.compose(
    ...['run', '--rm', '--no-deps', '--entrypoint', 'psql', 'application'],
    ...['--file', '/application/send.sql'],
  )
  const waiting = await before.query(
    `select batch_id from commandbus.batch where status = 'PENDING' order by created_at desc limit 1`,
  )
  t.match(waiting, /^[\w-]{36}$/)
  const data = await readData(before)
  t.ok((data.rows['commandbus.audit']?.length ?? 0) > 10)
  t.ok((data.rows['pgmq.q_payments__commands']?.length ?? 0) >= 3)
  t.equal(data.rows['public.flyway_schema_history']?.length, 2)
  await before.compose('down')
  await before.compose(...inVolume(backup, '-cf', '/backup/before.tar', '.'))

  await t.test('the service adopts the database, and nothing is lost', async (t) => {
    await after.compose('up', '--wait', 'commandbus-db')

    const { rows } = await readData(after, data.columns)
    t.strictSame(rowsMissing(data.rows, rows), [], 'no row is missing or different')
    t.strictSame(
      rowsMissing(rows, data.rows).map((row) => /"(?:key|queue_name)": "(\w+)"/.exec(row)?.[1]),
      ['runtime', 'reporting__commands', 'reporting__process_replies', 'reporting__replies'],
      'and these are new',
    )
    const ready = await fetch(`${await after.address()}/readyz`)
    t.equal(ready.status, 200)
    t.equal(await after.query('select count(*) from commandbus.adoption_report'), '0')
    const log = await after.compose('logs', '--no-log-prefix', 'commandbus-db')
    const adopted = 'adoption: took over the command bus in the schema commandbus'
    t.match(log, adopted)
    t.ok(page.includes(adopted), 'the page quotes it')
    const truncate = [
      ...['exec', '-T', 'postgres', 'psql', '-U', 'postgres', '--set', 'VERBOSITY=verbose'],
      ...['-c', 'truncate commandbus.batch, commandbus.command', 'commandbus'],
    ]
    t.match((await after.run(...truncate)).output, /0A000.*"batch_counter" references "batch"/s)
  })

  await t.test('the application runs on', async () => {
    await after.compose('up', '--wait')

    await untilTrue(
      after,
      `select started_at is not null
              and completed_count + in_troubleshooting_count = total_count
         from commandbus.batch where batch_id = '${waiting}'`,
    )
    await untilCompletesAnother(after)
  })

  await t.test('an operator cancels what failed before, which completes its batch', async (t) => {
    const [batch, command] = (
      await after.query(
        `select batch_id, command_id from commandbus.command
          where status = 'IN_TROUBLESHOOTING_QUEUE' order by created_at limit 1`,
      )
    ).split('|')
    t.ok(data.rows['commandbus.command']?.some((row) => row.includes(`"${command}"`)))

    await after.query(
      `begin;
       update commandbus.command set status = 'CANCELED' where command_id = '${command}';
       select commandbus.sp_tsq_cancel('payments', '${batch}');
       commit`,
    )

    t.equal(
      await after.query(
        `select status, completed_count, canceled_count, in_troubleshooting_count
           from commandbus.batch where batch_id = '${batch}'`,
      ),
      'COMPLETED_WITH_FAILURES|2|1|0',
    )
  })

  await t.test('the way back to Flyway on the adopted database', async (t) => {
    await after.compose('down')
    await before.compose('up', '--detach')

    const log = await before.compose('logs', '--no-log-prefix', 'flyway')
    const upToDate = 'Schema is up to date. No migration necessary.'
    t.match(log, upToDate)
    t.ok(page.includes(upToDate), 'the page quotes it')
    await untilCompletesAnother(before)
    t.same((await readData(before, data.columns)).rows['public.flyway_schema_history']?.length, 2)
  })

  await t.test('the way back to the backup', async (t) => {
    await before.compose('down', '--volumes')
    await before.compose(...inVolume(backup, '-xf', '/backup/before.tar'))
    await before.compose('up', '--wait', 'postgres')

    t.strictSame(await readData(before), data)
    await before.compose('up', '--detach')
    await untilCompletesAnother(before)
  })
})

t.test('the stack for tests has a database that can be reset', needsEngine, async (t) => {
  const token = 'a-token-for-this-test-only'
  const stack = openStack(t, {
    directory: join(example, 'after'),
    file: 'docker-compose.test.yml',
    env: { ...env, RESET_TOKEN: token },
  })
  await stack.compose('up', '--wait')

  const reset = await fetch(`${await stack.address()}/reset`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  })

  t.equal(reset.status, 200)
})

t.test('its conftest.py is the one of docs/use/tests.md, which is tested', async (t) => {
  const conftest = read('examples', 'from-flyway', 'after', 'tests', 'conftest.py')
  t.ok(read('docs', 'use', 'tests.md').includes(`# conftest.py\n${conftest}`))
})

t.test('the page uses the commands of this test', async (t) => {
  for (const command of [
    'docker compose down',
    `docker compose ${inVolume('$PWD', '-cf', '/backup/before.tar', '.').join(' ')}`,
    'docker compose up --wait commandbus-db',
    'docker compose up --wait',
    'docker compose down --volumes',
    `docker compose ${inVolume('$PWD', '-xf', '/backup/before.tar').join(' ')}`,
  ]) {
    // Long lines are broken, and what a shell would split is quoted.
    const commands = page.replaceAll(/ \\\n\s+/g, ' ').replaceAll('"', '')
    t.ok(commands.includes(`${command}\n`), command)
  }
})

/** Runs tar on the stopped server's volume, in the folder `directory` as /backup. */
function inVolume(directory: string, ...args: string[]): string[] {
  return [
    ...['run', '--rm', '--no-deps', '--user', 'root', '--entrypoint', 'tar'],
    ...['--volume', `${directory}:/backup`, 'postgres'],
    ...['-C', '/var/lib/postgresql/data', ...args],
  ]
}

async function untilTrue(stack: Stack, sql: string): Promise<void> {
  await until(
    () => stack.query(sql),
    (answer) => answer === 't',
    { withinMs: 120_000 },
  )
}

async function untilCompletesAnother(stack: Stack): Promise<void> {
  const count = `select count(*) from commandbus.batch where status = 'COMPLETED'`
  const completed = await stack.query(count)
  await untilTrue(stack, `select (${count}) > ${completed}`)
}

type Rows = Readonly<Record<string, readonly string[]>>

/** The rows of `expected` that are not in `actual`, which are different there or gone. */
function rowsMissing(expected: Rows, actual: Rows): string[] {
  return Object.entries(expected).flatMap(([table, rows]) => {
    const found = new Set(actual[table])
    return rows.filter((row) => !found.has(row))
  })
}

type Columns = Readonly<Record<string, string>>

/** Every row of the bus, of its queues and of Flyway's history, in the columns that they have or had. */
async function readData(
  stack: Stack,
  had?: Columns,
): Promise<{ columns: Columns; rows: Record<string, string[]> }> {
  const at = await stack.compose('port', 'postgres', '5432')
  const pool = new Pool({ connectionString: `postgres://postgres:postgres@${at}/commandbus` })
  try {
    const columns = had ?? (await readColumns(pool))
    const rows: Record<string, string[]> = {}
    for (const [table, names] of Object.entries(columns)) {
      const result = await pool.query<{ content: string }>(
        `select to_jsonb(content)::text as content from (select ${names} from ${table}) as content
          order by 1`,
      )
      rows[table] = result.rows.map(({ content }) => content)
    }
    return { columns, rows }
  } finally {
    await pool.end()
  }
}

async function readColumns(pool: Pool): Promise<Columns> {
  const { rows } = await pool.query<{ table: string; columns: string }>(
    `select format('%I.%I', schemaname, tablename) as table,
            string_agg(quote_ident(attname), ', ' order by attnum) as columns
       from pg_tables
       join pg_attribute on attrelid = format('%I.%I', schemaname, tablename)::regclass
                        and attnum > 0
                        and not attisdropped
      where schemaname in ('commandbus', 'e2e', 'pgmq', 'public')
      group by 1
      order by 1`,
  )
  return Object.fromEntries(rows.map(({ table, columns }) => [table, columns]))
}
