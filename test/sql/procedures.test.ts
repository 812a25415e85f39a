import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'tap'
import { root } from '../support/files.ts'
import { createFolder } from '../support/migrations-folder.ts'
import { readArguments } from './arguments.ts'
import { describeUnknown, findTested, listTested } from './procedures.ts'

test('every function and every view of the project is tested', (t) => {
  const tested = listTested(root, join(root, 'migrations'))
  t.ok(tested.length > 25)
  t.strictSame(
    tested.filter(({ file }) => file === undefined).map(({ name }) => name),
    [],
  )
  t.end()
})

test('a test is found by the name of its procedure, or by the beginning of it', (t) => {
  const folder = createFolder(t)
  const functions = 'migrations/fixtures/bus/functions'
  const files = [
    `${functions}/pay.sql`,
    `${functions}/pay_back.sql`,
    `${functions}/tsq_cancel.sql`,
    `${functions}/tsq_retry.sql`,
    'migrations/fixtures/bus/views/open_payment.sql',
    'test/schema/bus/functions/pay.test.ts',
    'test/schema/bus/functions/tsq.test.ts',
    'test/schema/bus/views/open_payment.test.ts',
  ]
  for (const path of files) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    writeFileSync(join(folder, path), '')
  }

  const tested = listTested(folder, join(folder, 'migrations'))

  const fileOf = (name: string) => findTested(name, tested).map(({ file }) => file)
  t.strictSame(fileOf('pay'), ['test/schema/bus/functions/pay.test.ts'])
  t.strictSame(fileOf('bus.pay'), ['test/schema/bus/functions/pay.test.ts'])
  t.strictSame(fileOf('pay_back'), [undefined], 'the test of pay is not one of pay_back')
  t.strictSame(fileOf('tsq_retry'), ['test/schema/bus/functions/tsq.test.ts'])
  t.strictSame(fileOf('open_payment'), ['test/schema/bus/views/open_payment.test.ts'])
  t.strictSame(fileOf('other.pay'), [])
  t.equal(
    describeUnknown('bus.pya', tested),
    'nothing tests bus.pya; did you mean pay? Without a name, all tests run',
  )
  t.match(describeUnknown('cancel', tested), /did you mean tsq_cancel\?/)
  t.equal(
    describeUnknown('other_thing', tested),
    'nothing tests other_thing: expected the name of a function or view, with or without its schema\n' +
      'with tests:\n  pay\n  tsq_cancel\n  tsq_retry\n  open_payment\nwithout tests:\n  pay_back',
  )
  t.end()
})

test('the arguments', (t) => {
  t.strictSame(readArguments(['a', '--coverage', 'b']), {
    ...{ names: ['a', 'b'], isMeasured: true, isHelp: false },
  })
  t.equal(readArguments(['-h']).isHelp, true)
  t.throws(() => readArguments(['--covrage']), {
    ...{ code: 'too_many_arguments', exitCode: 2 },
    message: "Unknown option '--covrage'; expected: npm run test:sql -- [NAME …] [--coverage]",
  })
  t.end()
})
