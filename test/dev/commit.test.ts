import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { commit } from '../../dev/commands/commit.ts'
import type { CommandRun } from '../../dev/tool.ts'
import { createFolder } from '../support/migrations-folder.ts'

const REFUSED: Record<string, [Buffer, RegExp]> = {
  'Latin-1': [
    Buffer.from("select 'M\xfcnchen';\n", 'latin1'),
    /^nothing was committed: current\.sql is not UTF-8: line 1, byte 10 is 0xFC; save it as UTF-8$/,
  ],
  'a header below a comment': [
    Buffer.from('-- Enter migration here\n--! no-transaction\nselect 1;\n'),
    /current\.sql has a header that graphile-migrate ignores, line 2: /,
  ],
  'transaction control': [
    Buffer.from('create table t (i int);\nrollback;\n'),
    /current\.sql has a statement that no migration may have, line 2: "rollback" begins, ends or prepares/,
  ],
  'rows from the client': [
    Buffer.from('copy public.t (i) from stdin;\n1\n\\.\n'),
    /line 1: "copy public\.t \(i\) from stdin" copies rows .*pg_dump --inserts/,
  ],
}
for (const [what, [content, message]] of Object.entries(REFUSED)) {
  test(`a commit refuses ${what}, and leaves the file alone`, async (t) => {
    const migrationsDir = createFolder(t)
    const file = join(migrationsDir, 'current.sql')
    writeFileSync(file, content)
    // Refused before the database is used.
    const run = { config: { migrationsDir } } as CommandRun

    await t.rejects(commit(run, 'A message'), { code: 'current_refused', exitCode: 5, message })
    t.strictSame(readFileSync(file), content)
  })
}
