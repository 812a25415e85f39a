// Two branches whose histories differ, in one checkout, and a second checkout beside it; no ports are set.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { type Test, test } from 'tap'
import { calculateHash } from '../support/migrations-folder.ts'
import { collect, createProject, type DevelopmentProject, exitOf, until } from './project.ts'

/** Starts `npm run dev`, and returns when the loop watches. */
async function startLoop(t: Test, project: DevelopmentProject) {
  const startedAt = performance.now()
  const dev = project.start('dev.js')
  const output = collect(dev)
  const ended = exitOf(dev)
  t.teardown(async () => {
    if (dev.exitCode === null && dev.pid !== undefined) process.kill(-dev.pid, 'SIGKILL')
    await ended
  })
  await until('watching', () => output().includes('watching ') || dev.exitCode !== null)
  t.equal(dev.exitCode, null, output())
  const ms = Math.round(performance.now() - startedAt)
  t.comment(`the loop is up after ${ms} ms`)
  const connectionString = (await project.run('url')).output.trim()
  return {
    output,
    port: /listening at http:\/\/127\.0\.0\.1:(\d+)/.exec(output())?.[1],
    async query(sql: string): Promise<unknown[]> {
      const client = new pg.Client({ connectionString })
      await client.connect()
      const { rows } = await client.query({ text: sql, rowMode: 'array' })
      await client.end()
      return rows.flat()
    },
    async stop() {
      process.kill(-Number(dev.pid), 'SIGINT')
      t.equal(await ended, 0, output())
    },
  }
}

test('on another branch the loop comes up with a database that fits', async (t) => {
  const project = createProject(t, { EMBEDDED_DATA_DIR: join('.data', 'postgres') })
  const committed = join(project.migrationsDir, 'committed')
  const last = project.listCommitted().at(-1) ?? ''
  const third = join(committed, '000003-third.sql')
  const previous = /^--! Hash: (\S+)$/m.exec(readFileSync(join(committed, last), 'utf8'))?.[1]
  const commitThird = (body: string) => {
    const hash = calculateHash(body, previous ?? null)
    writeFileSync(
      third,
      `--! Previous: ${previous}\n--! Hash: ${hash}\n--! Message: third\n\n${body}`,
    )
  }
  const readHistory = 'select count(*)::int from graphile_migrate.migrations'

  const main = await startLoop(t, project)
  await main.query('create table public.of_main ()')
  await until('a template', async () => {
    const names = await main.query('select datname::text from pg_database')
    return names.some((name) => /^commandbus_template_/.test(String(name)))
  })

  await t.test('a second checkout has ports of its own', async (t) => {
    const other = await startLoop(
      t,
      createProject(t, { EMBEDDED_DATA_DIR: join('.data', 'postgres') }),
    )
    t.not(other.port, main.port)
    t.strictSame(await other.query("select to_regclass('public.of_main')::text"), [null])
    await other.stop()
  })
  await main.stop()

  await t.test('a branch with one more migration', async (t) => {
    commitThird('create table public.third ();\n')
    const branch = await startLoop(t, project)
    t.match(branch.output(), 'a copy without them is kept as commandbus_at_')
    t.strictSame(await branch.query(readHistory), [3])
    await branch.query('create table public.of_branch ()')
    await branch.stop()
  })

  await t.test('back: the database as it was', async (t) => {
    rmSync(third)
    const again = await startLoop(t, project)
    t.match(again.output(), 'the one of this branch is in use again')
    t.strictSame(await again.query(readHistory), [2])
    t.strictSame(
      await again.query("select to_regclass('of_main')::text, to_regclass('of_branch')::text"),
      ['of_main', null],
    )
    await again.stop()
  })

  await t.test('the branch again, and then one with another third migration', async (t) => {
    commitThird('create table public.third ();\n')
    const branch = await startLoop(t, project)
    t.strictSame(await branch.query("select to_regclass('of_branch')::text"), ['of_branch'])
    await branch.stop()

    commitThird('create table public.other_third ();\n')
    const other = await startLoop(t, project)
    t.match(other.output(), /this branch has a new one, copied from commandbus_template_/)
    t.strictSame(
      await other.query("select to_regclass('other_third')::text, to_regclass('of_main')::text"),
      ['other_third', null],
    )
    await other.stop()
  })

  await t.test('the branch changes while the loop runs', async (t) => {
    const loop = await startLoop(t, project)
    const switchTo = async (what: string, change: () => void) => {
      const count = loop.output().split('watching ').length
      const startedAt = performance.now()
      change()
      await until(what, () => loop.output().split('watching ').length > count)
      t.comment(`${what} after ${Math.round(performance.now() - startedAt)} ms`)
    }
    await switchTo('the branch without it', () => rmSync(third))
    t.strictSame(await loop.query(readHistory), [2])
    t.strictSame(
      await loop.query("select to_regclass('of_main')::text, to_regclass('other_third')::text"),
      ['of_main', null],
    )
    await switchTo('the one with it', () => commitThird('create table public.other_third ();\n'))
    t.strictSame(await loop.query("select to_regclass('other_third')::text"), ['other_third'])

    writeFileSync(third, 'not a migration')
    await until('refused', () => /error: .*000003-third\.sql/.test(loop.output()))
    await loop.stop()
  })
})
