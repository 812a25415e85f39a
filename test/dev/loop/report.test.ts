import { test } from 'tap'
import { createReport, type ReportOptions } from '../../../dev/loop/report.ts'

function createLines(options: Partial<ReportOptions> = {}) {
  let written = ''
  const report = createReport({
    folder: 'migrations',
    color: false,
    write: (text) => {
      written += text
    },
    now: () => new Date(2026, 10, 26, 9, 5, 7),
    ...options,
  })
  return { report, text: () => written }
}

const changed = (name: string) => ({
  ...{ kind: 'function', name, change: 'changed' as const },
  detail: 'definition differs',
})

test('a save is one line', (t) => {
  const { report, text } = createLines()

  report.applied({ files: ['fixtures/a/f.sql'], changes: [changed('a.f()')], durationMs: 83.6 })
  report.applied({ files: ['current.sql', 'fixtures/g.sql'], changes: [], durationMs: 4 })
  const many = [1, 2, 3, 4, 5].map((number) => changed(`a.f${number}()`))
  report.applied({ files: [], changes: many, durationMs: 10 })
  report.applied({ files: [], changes: undefined, durationMs: 10 })

  t.equal(
    text(),
    [
      '[09:05:07] f.sql: function a.f() changed (84 ms)',
      '[09:05:07] current.sql and 1 more: no definition changed (4 ms)',
      '[09:05:07] function a.f1() changed, function a.f2() changed, function a.f3() changed, and 2 more (10 ms)',
      '[09:05:07] applied (10 ms)',
      '',
    ].join('\n'),
  )
  t.end()
})

test('an error is shown with its line and a caret', (t) => {
  const { report, text } = createLines()

  report.failed({
    message: 'column "x" does not exist',
    code: '42703',
    hint: 'Perhaps y.',
    context: 'one\ntwo',
    place: { file: 'fixtures/a/f.sql', line: 12, text: '\tselect x;', column: 8 },
  })
  report.failed({ message: 'the tool says no' })

  t.equal(
    text(),
    [
      '[09:05:07] error: migrations/fixtures/a/f.sql:12: column "x" does not exist (42703)',
      '  12 | \tselect x;',
      '       \t       ^',
      '  hint: Perhaps y.',
      '  context: one',
      '    two',
      '[09:05:07] error: the tool says no',
      '',
    ].join('\n'),
  )
  t.end()
})

test('colours are for terminals', (t) => {
  const { report, text } = createLines({ color: true })

  report.failed({ message: 'no' })

  t.equal(text(), '[09:05:07] \x1b[31merror\x1b[39m: no\n')
  t.end()
})
