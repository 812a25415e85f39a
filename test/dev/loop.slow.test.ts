// How a developer changes a procedure: on the embedded server, without settings except ports.
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { test } from 'tap'
import { findFreePort } from '../support/port.ts'
import { collect, createProject, exitOf, until } from './project.ts'

test('changing a procedure with npm run dev', async (t) => {
  const [port, embeddedPort] = [await findFreePort(), await findFreePort()]
  const project = createProject(t, {
    PORT: String(port),
    EMBEDDED_PORT: String(embeddedPort),
    EMBEDDED_DATA_DIR: join('.data', 'postgres'),
  })
  const current = join(project.migrationsDir, 'current.sql')
  const fixture = 'commandbus/functions/sp_start_batch.sql'
  const committedBefore = project.listCommitted()
  const dev = project.start('dev.js')
  const output = collect(dev)
  const ended = exitOf(dev)
  t.teardown(async () => {
    if (dev.pid !== undefined && isAlive(dev.pid)) process.kill(-dev.pid, 'SIGKILL')
    await ended
  })
  await until('watching', () => output().includes('watching ') || dev.exitCode !== null)
  t.equal(dev.exitCode, null, output())
  const connectionString = (await project.run('url')).output.trim()
  const pool = new pg.Pool({ connectionString })
  pool.on('error', () => {})

  await t.test('the watch applies a fixture as soon as it is saved', async (t) => {
    writeFileSync(current, `--!include ${fixture}\n`)
    await until('included', () => output().includes('current.sql: '))

    appendFileSync(
      join(project.migrationsDir, 'fixtures', fixture),
      "\ncomment on function commandbus.sp_start_batch(text, uuid) is 'Changed.';\n",
    )

    await until('applied', async () => (await readComment()) === 'Changed.')
    t.equal((await project.run('status')).exitCode, 0)
  })

  await t.test('a commit that fails leaves every file unchanged', async (t) => {
    const good = project.readCurrent()
    writeFileSync(current, `${good}select commandbus.no_such_function();`)
    const { exitCode } = await project.run('commit', 'It breaks')

    t.equal(exitCode, 4)
    t.equal(project.readCurrent(), `${good}select commandbus.no_such_function();`)
    t.strictSame(project.listCommitted(), committedBefore)
    writeFileSync(current, good)
  })

  const filename = `00000${committedBefore.length + 1}-say-that-it-changed.sql`
  const committed = join(project.migrationsDir, 'committed', filename)

  await t.test(
    'a commit while the service runs makes a file that every user can read',
    async (t) => {
      const { exitCode, output } = await project.run('commit', 'Say that it changed')

      t.equal(exitCode, 0, output)
      t.strictSame(project.listCommitted(), [...committedBefore, filename])
      t.match(readFileSync(committed, 'utf8'), "is 'Changed.'")
      t.equal(statSync(committed).mode & 0o777, 0o644)
      t.equal(statSync(current).mode & 0o777, 0o644)
      t.notMatch(project.readCurrent(), '--!include')
      t.strictSame(await listPending(), [])
    },
  )

  await t.test('an uncommit restores current.sql, which can be committed again', async (t) => {
    const text = readFileSync(committed, 'utf8')

    t.equal((await project.run('uncommit')).exitCode, 0)
    t.strictSame(project.listCommitted(), committedBefore)
    t.match(project.readCurrent(), `--!include ${fixture}\n`)
    t.equal((await project.run('uncommit')).exitCode, 5, 'not the released one before it')
    t.equal((await project.run('commit', 'Say that it changed')).exitCode, 0)
    t.equal(readFileSync(committed, 'utf8'), text)

    const empty = project.readCurrent()
    writeFileSync(current, 'select 1;\n')
    t.equal((await project.run('uncommit')).exitCode, 4, 'not while current.sql has a change')
    writeFileSync(current, empty)
  })

  await t.test('a commit without a change or a message is an error', async (t) => {
    t.equal((await project.run('commit', 'Nothing')).exitCode, 2)
    t.equal((await project.run('commit')).exitCode, 2)
    t.strictSame(project.listCommitted(), [...committedBefore, filename])
  })

  await t.test('Ctrl-C ends the service, its server and the watch, with exit code 0', async (t) => {
    await pool.end()
    process.kill(-Number(dev.pid), 'SIGINT')

    t.equal(await ended, 0, output())
    t.notOk(isAlive(Number(dev.pid)), 'no process of its group is left')
    const { exitCode } = await project.run('status')
    t.equal(exitCode, 0, 'afterwards a command starts and stops the server itself')
  })

  async function readComment(): Promise<unknown> {
    const { rows } = await pool.query(
      `select obj_description('commandbus.sp_start_batch(text, uuid)'::regprocedure) as comment`,
    )
    return rows[0]?.comment
  }

  async function listPending(): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${port}/status`)
    return ((await response.json()) as { migrations: { pending: unknown } }).migrations.pending
  }
})

/** Whether any process of the group is left. */
function isAlive(group: number): boolean {
  try {
    return process.kill(-group, 0)
  } catch {
    return false
  }
}
