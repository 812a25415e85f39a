import { test } from 'tap'
import { readBuiltDescription } from '../support/described.ts'
import { FAILURE, installSchemathesis, runSchemathesis, SEED } from './run-schemathesis.ts'
import { startSubject, TOKEN } from './subject.ts'

const REQUESTS = 10_000

const schemathesis = await installSchemathesis()
const skip = 'missing' in schemathesis && `NOT TESTED: ${schemathesis.missing}`

test('10,000 requests of Schemathesis are answered as described, and change nothing', {
  skip,
}, async (t) => {
  if ('missing' in schemathesis) return
  const subject = await startSubject(t)
  const operations = Object.values(readBuiltDescription().paths).flatMap((path) =>
    Object.keys(path),
  )

  const { report, requests } = await runSchemathesis({
    ...{ ...schemathesis, address: subject.address, token: TOKEN, folder: t.testdir() },
    // It leaves out those that it would repeat.
    examples: Math.ceil((1.3 * REQUESTS) / operations.length),
  })

  t.comment(`FUZZ_SEED=${SEED}, ${requests} requests`)
  t.ok(requests >= REQUESTS, report)
  t.notMatch(report, FAILURE)
  t.strictSame(await subject.listChanges(), [])
  await subject.assertWell()
})
