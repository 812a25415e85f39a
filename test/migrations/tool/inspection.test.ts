import fc from 'fast-check'
import { parseMigrationText } from 'graphile-migrate/dist/migration.js'
import { test } from 'tap'
import { type Inspected, inspect, inspectAhead } from '../../../src/migrations/tool/inspection.ts'
import { listProjectFiles, readProjectFile } from '../../support/files.ts'

test('a text that was inspected ahead is found again, and only that text', async (t) => {
  const found = inspectAhead('select 1;\n', false)
  t.match(found, { noTransaction: false, mayLeaveUnseen: false })
  if (found === undefined) return
  // What it says of the text is wrong, so that it shows where it is used.
  const inspected = [{ ...found, mayLeaveUnseen: true }]
  const usual = { noTransaction: false }

  t.equal(inspect('select 1;\n', usual, inspected).mayLeaveUnseen, true)
  t.equal(inspect('select 2;\n', usual, inspected).mayLeaveUnseen, false)
  t.equal(inspect('select 1;\n', { noTransaction: true }, inspected).mayLeaveUnseen, false)
  const escaped = { ...usual, standardStrings: false }
  t.equal(inspect('select 1;\n', escaped, inspected).mayLeaveUnseen, false)
})

test('a text with something to refuse is left to the start', async (t) => {
  t.equal(inspectAhead('select 1; commit', false), undefined)
  t.ok(inspectAhead('select 1; commit', true))
})

test('an inspection says the same whether it was made ahead or not', async () => {
  const text = fc
    .array(
      fc.constantFrom(
        ...[
          'commit;',
          'select 1;',
          "set a.b = 'x';",
          'create extension x;',
          '\\connect',
          '$$',
          "'",
        ],
        ...['begin', ' ', '\n', 'copy t from stdin;', 'rollback;', 'load ', '--'],
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join(''))
  const texts = fc.array(fc.tuple(text, fc.boolean()), { maxLength: 4 })

  fc.assert(
    fc.property(texts, text, fc.boolean(), (ahead, other, isOutside) => {
      const inspected = ahead
        .map(([sent, noTransaction]) => inspectAhead(sent, noTransaction))
        .filter((found) => found !== undefined)
      for (const [sent, noTransaction] of [...ahead, [other, isOutside] as const]) {
        for (const standardStrings of [true, false]) {
          const options = { noTransaction, standardStrings }
          const found = JSON.stringify(inspect(sent, options, inspected))
          if (found !== JSON.stringify(inspect(sent, options))) return false
        }
      }
      return true
    }),
    { numRuns: 500 },
  )
})

test('a build knows our migrations as the tool sends them, whatever E2E_SCHEMA is', async (t) => {
  const built: Inspected[] = JSON.parse(readProjectFile('dist/app/inspected.json'))
  const files = listProjectFiles('migrations/committed', '.sql')
  t.ok(files.length >= 2)

  for (const file of files) {
    const { body, headers } = parseMigrationText(file, readProjectFile(file))
    t.notOk('no-transaction' in headers)
    for (const value of ['on', 'off']) {
      const { sha1 } = inspectAhead(body.replaceAll(':E2E_SCHEMA', value), false) ?? {}
      t.ok(sha1 !== undefined && built.some((known) => known.sha1 === sha1), `${file}, ${value}`)
    }
  }
})
