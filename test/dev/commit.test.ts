import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { commit } from '../../dev/commands/commit.ts'
import type { CommandRun } from '../../dev/tool.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createFolder, createMigrationsFolder } from '../support/migrations-folder.ts'
import { projectDir } from '../support/server.ts'

const REFUSED: Record<string, [Buffer, RegExp]> = {
  'Latin-1': [
    Buffer.from("select 'M\xfcnchen';\n", 'latin1'),
    /^\S*current\.sql:1: not UTF-8: line 1, byte 10 is 0xFC; save it as UTF-8$/m,
  ],
  'a header below a comment': [
    Buffer.from('-- Enter migration here\n--! no-transaction\nselect 1;\n'),
    /^\S*current\.sql:2: a header that graphile-migrate ignores: /,
  ],
  'transaction control': [
    Buffer.from('create table t (i int);\nrollback;\n'),
    /^\S*current\.sql:2: a statement that no migration may have: "rollback" begins, ends or prepares.*\n {2}2 \| rollback;/,
  ],
  'rows from the client': [
    Buffer.from('copy public.t (i) from stdin;\n1\n\\.\n'),
    /^\S*current\.sql:1: .*"copy public\.t \(i\) from stdin" copies rows .*pg_dump --inserts/,
  ],
}
for (const [what, [content, message]] of Object.entries(REFUSED)) {
  test(`a commit refuses ${what}, and leaves the file alone`, async (t) => {
    const migrationsDir = createFolder(t)
    const file = join(migrationsDir, 'current.sql')
    writeFileSync(file, content)
    // Refused before the database is used.
    const run = { config: { migrationsDir } } as CommandRun

    const error = await commit(run, { message: 'A message' }).catch((cause) => cause)
    t.match(error, { code: 'current_refused', exitCode: 5, message })
    t.match(error.message, /\n\nnothing was committed, and every file is as it was\./)
    t.strictSame(readFileSync(file), content)
  })
}

test('a commit that is interrupted says so, and leaves the file alone', async (t) => {
  const migrationsDir = createMigrationsFolder(t, ['select 1;'])
  const file = join(migrationsDir, 'current.sql')
  writeFileSync(file, 'select 2;\n')
  // No server listens there: the tool is stopped before it would connect.
  const url = 'postgres://none@127.0.0.1:1/never'
  const config = loadConfig({ MIGRATIONS_DIR: migrationsDir, DATABASE_URL: url })
  const database = {
    ...{ url, shadowUrl: url, rootUrl: url, name: 'never' },
    close: async () => {},
  }

  await t.rejects(
    commit({ config, database, signal: AbortSignal.abort() }, { message: 'A message' }),
    {
      ...{ code: 'migration_command_failed', exitCode: 4 },
      message: `commit was interrupted; ${migrationsDir} is unchanged`,
    },
  )
  t.equal(readFileSync(file, 'utf8'), 'select 2;\n')
})

test('a message without quotes is refused', (t) => {
  const command = ['--import=tsx', 'dev/cli.ts', 'commit', 'Add', 'a', 'status']
  const { status, stderr } = spawnSync(process.execPath, command, {
    ...{ cwd: projectDir, encoding: 'utf8' },
    env: { PATH: process.env.PATH },
  })

  t.equal(status, 2)
  t.match(stderr, /^expected one argument at most, found 3: put a message .* in quotes, as in npm/)
  t.end()
})
