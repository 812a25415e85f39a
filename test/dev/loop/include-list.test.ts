import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { compile, readCommittedFixtures, readFixtures } from '../../../dev/loop/fixtures.ts'
import { LIST_HEADING, updateIncludeList } from '../../../dev/loop/include-list.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { projectDir } from '../../support/server.ts'

const EMPTY = '-- Enter migration here\n'

function texts(entries: Record<string, string>): Map<string, string> {
  return new Map(Object.entries(entries))
}

function listOf(...paths: readonly string[]): string {
  return [LIST_HEADING, ...paths.map((path) => `--!include ${path}`), ''].join('\n')
}

const view = (name: string, body: string) => `create or replace view ${name} as ${body};\n`

test('as they are committed, the fixtures of the project are not listed', (t) => {
  const migrationsDir = join(projectDir, 'migrations')
  const fixtures = readFixtures(migrationsDir)
  const committed = readCommittedFixtures(migrationsDir)

  t.equal(updateIncludeList(EMPTY, fixtures, committed), EMPTY)

  const path = 'commandbus/functions/sp_start_batch.sql'
  const changed = new Map(fixtures).set(path, `${fixtures.get(path)}select 1;\n`)
  const listed = updateIncludeList(EMPTY, changed, committed)
  t.equal(listed, `${EMPTY}\n${listOf(path)}`)
  t.equal(updateIncludeList(listed, changed, committed), listed, 'a list that is right stays')
  t.equal(updateIncludeList(listed, fixtures, committed), EMPTY, 'back as it was, byte for byte')
  t.end()
})

test('a fixture comes behind those that it uses, otherwise in the order of the migrations', (t) => {
  const committed = texts({ 'z.sql': 'old', 'b.sql': 'old', 'a.sql': 'old' })
  const fixtures = texts({
    'a.sql': view('bus.a', 'select 1'),
    'b.sql': view('bus.b', 'select * from bus.a_new'),
    'new/a_new.sql': view('bus.a_new', 'select bus.helper()'),
    'new/helper.sql': 'create function bus.helper() returns int return 1;\n',
    'z.sql': view('"Bus".z', 'select 1'),
  })

  t.equal(
    updateIncludeList('', fixtures, committed),
    listOf('z.sql', 'a.sql', 'new/helper.sql', 'new/a_new.sql', 'b.sql'),
  )
  t.end()
})

test('fixtures that use each other stay in the order of the migrations', (t) => {
  const fixtures = texts({
    'a.sql': 'create function bus.a() returns int return bus.b();\n',
    'b.sql': 'create function bus.b() returns int return bus.a();\n',
  })

  t.equal(
    updateIncludeList('', fixtures, texts({ 'b.sql': '', 'a.sql': '' })),
    listOf('b.sql', 'a.sql'),
  )
  t.end()
})

test('what the author includes, and the rest of the file, is left alone', (t) => {
  const fixtures = texts({
    'by_hand.sql': 'select 1;\n',
    'inner.sql': 'select 2;\n',
    'outer.sql': '--!include inner.sql\n',
    'same.sql': 'select 3;\n',
  })
  const committed = texts({
    'same.sql': 'select 3;',
    'inner.sql': 'select 0;',
    'outer.sql': '--! Included inner.sql\nselect 0;\n--! EndIncluded inner.sql',
  })
  const above = 'alter table t add x int;\n--!include by_hand.sql\n--!include same.sql\n\n'
  const below = '\nselect 9;'

  const first = updateIncludeList(`${above}${listOf('same.sql')}${below}`, fixtures, committed)

  t.equal(first, `${above}${listOf('outer.sql')}${below}`)
  t.equal(updateIncludeList(`${above}${LIST_HEADING}\n${below}`, fixtures, committed), first)
  t.equal(
    updateIncludeList('select 1;', texts({ 'x.sql': '1' }), texts({})),
    `select 1;\n\n${listOf('x.sql')}`,
  )
  t.end()
})

test('a text is compiled as the tool does it', (t) => {
  const fixtures = texts({
    'a.sql': '\nselect 1;\n--!include b.sql\n',
    'b.sql': '--!include b.sql',
  })

  t.equal(
    compile('x\n--!include a.sql\n--!include no.sql\n', fixtures),
    [
      ...['x', '--! Included a.sql', 'select 1;', '--! Included b.sql', '--!include b.sql'],
      ...['--! EndIncluded b.sql', '--! EndIncluded a.sql', '--!include no.sql', ''],
    ].join('\n'),
  )
  t.end()
})

test('fixtures that include themselves or each other are listed, so that the error is shown', (t) => {
  const fixtures = texts({
    'f.sql': '--!include g.sql\nselect 1;\n',
    'g.sql': '--!include f.sql\nselect 2;\n',
    'self.sql': '--!include self.sql\nselect 3;\n',
  })

  t.equal(updateIncludeList('', fixtures, texts({})), listOf('f.sql', 'g.sql', 'self.sql'))
  t.end()
})

test('what cannot be a fixture is none: hidden files, links to nothing, folders', (t) => {
  const migrationsDir = createFolder(t)
  const fixtures = join(migrationsDir, 'fixtures')
  mkdirSync(join(fixtures, 'folder.sql'), { recursive: true })
  mkdirSync(join(fixtures, '.hidden'))
  mkdirSync(join(migrationsDir, 'committed'))
  writeFileSync(join(fixtures, 'folder.sql', 'f.sql'), 'select 1;\n')
  writeFileSync(join(fixtures, '.g.sql'), 'select 2;\n')
  writeFileSync(join(fixtures, '.hidden', 'h.sql'), 'select 3;\n')
  for (const folder of [fixtures, join(migrationsDir, 'committed')]) {
    symlinkSync('me@host.123', join(folder, '.#f.sql'))
    symlinkSync('nothing', join(folder, 'dangling.sql'))
  }

  t.strictSame([...readFixtures(migrationsDir)], [['folder.sql/f.sql', 'select 1;\n']])
  t.strictSame([...readCommittedFixtures(migrationsDir)], [])
  t.end()
})
