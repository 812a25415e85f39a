import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { findCurrentProblems, isCurrentEmpty } from '../../../src/migrations/files/current.ts'
import { createFolder } from '../../support/migrations-folder.ts'

const EMPTY: Record<string, string> = {
  'an empty file': '',
  'blank lines': '\n\n',
  'a line comment': '-- Enter migration here\n',
  'a block comment': '/* several\nlines */\n',
}
const NOT_EMPTY: Record<string, string> = {
  'a statement': 'select 1;',
  'a statement after comments': '-- first\n/* second */ select 1;',
  'an included file': '--!include functions/some_function.sql\n',
  'an included file, with blanks': '--! include functions/some_function.sql\n',
}

for (const [contents, isEmpty] of [
  [EMPTY, true],
  [NOT_EMPTY, false],
] as const) {
  for (const [what, sql] of Object.entries(contents)) {
    test(`${what} in current.sql counts as ${isEmpty ? 'empty' : 'not empty'}`, async (t) => {
      const folder = createFolder(t)
      writeFileSync(join(folder, 'current.sql'), sql)

      t.equal(isCurrentEmpty(folder), isEmpty)
    })
  }
}

test('a missing current.sql is empty', async (t) => {
  t.equal(isCurrentEmpty(createFolder(t)), true)
})

test('every SQL file of a folder current/ counts, other files do not', async (t) => {
  const folder = createFolder(t)
  mkdirSync(join(folder, 'current'))
  writeFileSync(join(folder, 'current', '1-comment.sql'), '-- nothing yet\n')
  writeFileSync(join(folder, 'current', '.hidden.sql'), 'select 1;')
  writeFileSync(join(folder, 'current', 'notes.md'), 'select 1;')
  t.equal(isCurrentEmpty(folder), true)

  writeFileSync(join(folder, 'current', '2-statement.sql'), 'select 1;')
  t.equal(isCurrentEmpty(folder), false)
})

test('problems of the current migration are found in every file that a commit would copy', async (t) => {
  const folder = createFolder(t)
  mkdirSync(join(folder, 'fixtures', 'nested'), { recursive: true })
  writeFileSync(
    join(folder, 'current.sql'),
    '-- why\n--! no-transaction\n--!include first.sql\n--!include missing.sql\n',
  )
  writeFileSync(
    join(folder, 'fixtures', 'first.sql'),
    '--! include nested/second.sql\n--!include first.sql\n',
  )
  writeFileSync(join(folder, 'fixtures', 'nested', 'second.sql'), Buffer.of(0x27, 0xfc, 0x27))

  t.match(findCurrentProblems(folder), [
    { filename: 'current.sql', problem: /ignores, line 2: "--! no-transaction"/ },
    { filename: 'fixtures/nested/second.sql', problem: /^is not UTF-8: line 1, byte 2 is 0xFC/ },
  ])
})

test('each file of current/ is checked', async (t) => {
  const folder = createFolder(t)
  mkdirSync(join(folder, 'current'))
  writeFileSync(join(folder, 'current', '1-a.sql'), 'select 1;')
  writeFileSync(join(folder, 'current', '2-b.sql'), '\ufeffselect 2;')

  t.match(findCurrentProblems(folder), [
    { filename: 'current/2-b.sql', problem: /byte order mark/ },
  ])
})

test('an include of what is no fixture is a problem, also inside a fixture', async (t) => {
  const folder = createFolder(t)
  mkdirSync(join(folder, 'fixtures'))
  writeFileSync(join(folder, 'fixtures', 'good.sql'), 'select 1;\n')
  const check = (line: string) => {
    writeFileSync(join(folder, 'current.sql'), `select 1;\n${line}\n`)
    return findCurrentProblems(folder)
  }
  for (const path of ['../../README.md', '/etc/passwd', '../current.sql', 'a/../../x.sql', '..']) {
    const problem = `has an include that is outside of fixtures/, line 2: "--!include ${path}"`
    t.strictSame(check(`--!include ${path}`), [{ filename: 'current.sql', problem }])
  }
  for (const line of ['--!include notes.md', '--!INCLUDE good.sql', ' --!include good.sql']) {
    t.match(check(line), [{ problem: /^has an include that graphile-migrate ignores.*, line 2: / }])
  }
  for (const line of ['--!include good.sql', '--! include\tgood.sql', '-- include notes.md']) {
    t.strictSame(check(line), [])
  }

  writeFileSync(join(folder, 'fixtures', 'good.sql'), '--!include ../good.sql\n')
  t.match(check('--!include good.sql'), [
    { filename: 'fixtures/good.sql', problem: /outside of fixtures\/, line 1/ },
  ])
})

test('statements that no migration may have are found in included files, too', async (t) => {
  const folder = createFolder(t)
  mkdirSync(join(folder, 'fixtures'))
  writeFileSync(join(folder, 'current.sql'), '--!include dump.sql\n')
  writeFileSync(join(folder, 'fixtures', 'dump.sql'), 'select 1;\n\\connect other\n')

  t.match(findCurrentProblems(folder), [
    {
      filename: 'fixtures/dump.sql',
      problem: /, line 2: "\\connect other" is a command of psql's/,
    },
  ])
})

test('a current migration outside a transaction may control its own', async (t) => {
  const folder = createFolder(t)
  writeFileSync(join(folder, 'current.sql'), '--! no-transaction\nbegin; select 1; commit;\n')

  t.strictSame(findCurrentProblems(folder), [])
})
