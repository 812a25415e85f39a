// The parts of a commit and an uncommit that need no database.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { readArguments } from '../../../dev/arguments.ts'
import { readAllowed } from '../../../dev/commit/allowed.ts'
import { findCoveringTests } from '../../../dev/commit/covering-tests.ts'
import { takeBack } from '../../../dev/commit/files/take-back.ts'
import { readMessage, slugOf } from '../../../dev/commit/message.ts'
import { assertSomething, nothingError } from '../../../dev/commit/nothing.ts'
import { describeCommitted } from '../../../dev/commit/summary.ts'
import { createFolder, createMigrationsFolder } from '../../support/migrations-folder.ts'

test('--allow takes the names of rules, and lists them for another one', async (t) => {
  const allowed = await readAllowed('long-lock, squawk/ban-drop-table')
  t.strictSame([...allowed], ['long-lock', 'squawk/ban-drop-table'])
  t.strictSame([...(await readAllowed(undefined))], [])
  for (const name of ['nope', 'squawk/nope', '', 'long-lock,nope']) {
    await t.rejects(readAllowed(name), {
      ...{ code: 'commit_rule_unknown', exitCode: 2 },
      message:
        /found (?:squawk\/)?(?:nope|nothing)\. Expected: fixture-not-included, fixture-gone, not-repeatable, .*, squawk\/</,
    })
  }
  await t.rejects(
    readAllowed('transaction-control'),
    /cannot be allowed, since no service would run/,
  )
})

test('the arguments of the commands', (t) => {
  t.strictSame(readArguments('commit', ['A message', '--allow=a,b']), {
    message: 'A message',
    allow: 'a,b',
  })
  t.match(
    readArguments('commit', ['--help']).help,
    /^npm run db:commit -- "message" \[--allow=RULE/,
  )
  t.match(readArguments('uncommit', ['-h']).help, /^npm run db:uncommit\n/)
  for (const [command, given, message] of [
    [
      'commit',
      ['--alow=a', 'x'],
      /^Unknown option '--alow'; expected: npm run db:commit -- "message"/,
    ],
    ['uncommit', ['--allow=a'], /^Unknown option '--allow'; expected: npm run db:uncommit$/],
    ['commit', ['Add', 'a'], /^expected one argument at most, found 2/],
    ['uncommit', ['000003'], /^expected no argument, found 000003: npm run db:uncommit$/],
  ] as const) {
    t.throws(() => readArguments(command, given), { code: 'too_many_arguments', message })
  }
  t.end()
})

test('the tests that mention what changed, those of its own name first', (t) => {
  const dir = createFolder(t)
  const files = {
    'a.test.ts': 'sp_start_batch and more',
    'sp_start_batch.test.ts': 'nothing',
    'other.test.ts': 'sp_start_batches',
    'support.ts': 'sp_start_batch',
    'table.test.ts': 'commandbus.item',
    'word.test.ts': 'an item of many, and another.item',
  }
  mkdirSync(join(dir, 'test'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, 'test', name), text)
  const of = (kind: string, name: string, parent = 'commandbus') => ({
    ...{ kind, name, parent, aspects: {}, oid: '1', comment: null },
  })

  t.strictSame(findCoveringTests(dir, [of('function', 'commandbus.sp_start_batch(text, uuid)')]), [
    { path: 'test/sp_start_batch.test.ts', names: ['sp_start_batch'] },
    { path: 'test/a.test.ts', names: ['sp_start_batch'] },
  ])
  t.strictSame(findCoveringTests(dir, [of('column', 'commandbus.item.name', 'commandbus.item')]), [
    { path: 'test/table.test.ts', names: ['item'] },
  ])
  t.end()
})

test('what was added, changed and dropped stands in lines of their own', (t) => {
  const of = (name: string) => ({ kind: 'function', name, parent: 'a' })
  const [added, changed, dropped] = [of('a.f()'), of('a.g()'), of('a.h()')]
  const objects = (...all: ReturnType<typeof of>[]) => ({
    objects: new Map(all.map((one) => [`function ${one.name}`, one])),
  })
  const text = describeCommitted({
    ...{ path: 'committed/000001.sql', schema: { changes: [] }, unchecked: [], tests: [] },
    trial: {
      ...{ before: objects(changed, dropped), after: objects(added, changed) },
      changed: [added, changed, dropped],
    },
  } as unknown as Parameters<typeof describeCommitted>[0])
  t.match(
    text,
    '\nadded      function a.f()\nchanged    function a.g()\ndropped    function a.h()\n',
  )
  t.end()
})

test('a commit names npm run test:sql where it knows tests of what changed', (t) => {
  const paths = ['functions/sp_tsq.test.ts', 'views/batch_counts.test.ts', 'plans.test.ts']
  const names = ['sp_tsq', 'sp_tsq_retry', 'sp_tsqx', 'batch_counts', 'plans']
  const text = describeCommitted({
    ...{ path: 'committed/000001.sql', schema: { changes: [] }, unchecked: [] },
    trial: { before: { objects: new Map() }, after: { objects: new Map() }, changed: [] },
    tests: paths.map((path) => ({ path: `test/schema/commandbus/${path}`, names })),
  } as unknown as Parameters<typeof describeCommitted>[0])
  const named = [...text.matchAll(/npm run test:sql -- (\w+)/g)].map(([, name]) => name)
  t.strictSame(named, ['batch_counts', 'sp_tsq', 'sp_tsq_retry'])
  t.end()
})

test('a message becomes one header line, and a part of the name', (t) => {
  t.equal(readMessage(' Add a status '), 'Add a status')
  for (const given of [undefined, '', '   ', '\n']) {
    t.throws(() => readMessage(given), { code: 'commit_message_missing', exitCode: 2 })
  }
  for (const given of ['Two\nlines', 'A\ttab', 'x'.repeat(513)]) {
    t.throws(() => readMessage(given), {
      ...{ code: 'commit_message_wrong', exitCode: 2 },
      message: /^expected a message of one line with at most 512 characters/,
    })
  }
  for (const [message, slug] of [
    ['Do not wait', 'do-not-wait'],
    ['✓ ünïcode', 'unicode'],
    ['✓', ''],
    [`${'x'.repeat(59)} y`, 'x'.repeat(59)],
  ] as const) {
    t.equal(slugOf(message), slug)
  }
  t.end()
})

test('there is nothing to commit where what is included is empty, and the fixture is named', (t) => {
  const committed = '--! Included a/f.sql\ncreate function a.f() …\n--! EndIncluded a/f.sql\n'
  const dir = createMigrationsFolder(t, [committed])
  const fixtures = join(dir, 'fixtures', 'a')
  mkdirSync(fixtures, { recursive: true })
  const empty = (name: string) => {
    writeFileSync(join(fixtures, name), '-- nothing\n')
    writeFileSync(join(dir, 'current.sql'), `--!include a/${name}\n`)
  }
  empty('new.sql')
  const refused = { code: 'nothing_to_commit', exitCode: 2 }
  t.throws(() => assertSomething(dir), {
    ...refused,
    message: /current\.sql includes \S*fixtures\/a\/new\.sql, which has no statement; write what/,
  })
  empty('f.sql')
  t.throws(() => assertSomething(dir), {
    ...refused,
    message: /fixtures\/a\/f\.sql, which has no statement; to remove .* git checkout \S*a\/f\.sql$/,
  })
  t.match(nothingError(dir), {
    ...refused,
    message: /; deleted or emptied: \S*fixtures\/a\/f\.sql; /,
  })
  writeFileSync(join(fixtures, 'f.sql'), 'select 1;\n')
  t.doesNotThrow(() => assertSomething(dir))
  t.match(nothingError(dir), {
    message: /; not as committed: \S*a\/f\.sql, .*; add "--!include a\/f/,
  })
  t.end()
})

test('an uncommit writes current.sql, or the files of current/', (t) => {
  const headers = '--! Previous: -\n--! Hash: sha1:1\n--! Message: One\n\n'
  const open = (body: string) => {
    const dir = createFolder(t)
    mkdirSync(join(dir, 'committed'))
    writeFileSync(join(dir, 'committed', '000001-one.sql'), `${headers}${body}`)
    return dir
  }
  const one = open('select 1;\n--! Included a/b.sql\nselect 2;\n--! EndIncluded a/b.sql\n')
  t.equal(takeBack(one, '000001-one.sql'), 'sha1:1')
  t.equal(
    readFileSync(join(one, 'current.sql'), 'utf8'),
    '--! Message: One\n\nselect 1;\n--!include a/b.sql\n',
  )
  t.strictSame(readdirSync(join(one, 'committed')), [])
  writeFileSync(
    join(one, 'committed', '000001.sql'),
    '--! Previous: -\n--! Hash: sha1:1\n--! Message:\n\nselect 1;\n',
  )
  takeBack(one, '000001.sql')
  t.equal(readFileSync(join(one, 'current.sql'), 'utf8'), 'select 1;\n', 'without a message')

  const parts = open('--! split: 001.sql\nselect 1;\n\n--! split: 002-two.sql\nselect 2;\n')
  mkdirSync(join(parts, 'current'))
  takeBack(parts, '000001-one.sql')
  t.equal(readFileSync(join(parts, 'current/001.sql'), 'utf8'), '--! Message: One\n\nselect 1;\n')
  t.equal(readFileSync(join(parts, 'current/002-two.sql'), 'utf8'), 'select 2;\n')
  t.end()
})
