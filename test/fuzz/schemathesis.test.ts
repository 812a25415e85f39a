// Schemathesis makes requests from the description, right and wrong ones, and checks every answer.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { readBuiltDescription } from '../support/described.ts'
import { installPythonPackage } from '../support/python.ts'
import { startSubject, TOKEN } from './subject.ts'

const VERSION = '4.32.5'
const REQUESTS = 10_000
const SEED = process.env.FUZZ_SEED ?? String(Math.trunc(Math.random() * 2 ** 31))

const schemathesis = await installPythonPackage('schemathesis', VERSION, { dependencies: true })
const skip = 'missing' in schemathesis && `NOT TESTED: ${schemathesis.missing}`

test('10,000 requests of Schemathesis are answered as described, and change nothing', {
  skip,
}, async (t) => {
  if ('missing' in schemathesis) return
  const subject = await startSubject(t)
  const operations = Object.values(readBuiltDescription().paths).flatMap((path) =>
    Object.keys(path),
  )
  // It leaves out those that it would repeat.
  const examples = Math.ceil((1.3 * REQUESTS) / operations.length)
  const folder = t.testdir()

  const { stdout, stderr } = await promisify(execFile)(
    'python3',
    [
      ...[join(schemathesis.dir, 'bin', 'st'), 'run', `${subject.address}/openapi.json`],
      ...['--url', subject.address, '--workers', '2', '--max-examples', String(examples)],
      ...['--phases', 'examples,coverage,fuzzing', '--checks', 'all', '--continue-on-failure'],
      ...['--header', `Authorization: Bearer ${TOKEN}`, '--request-timeout', '10'],
      ...['--seed', SEED, '--no-color'],
    ],
    { cwd: folder, env: { ...process.env, PYTHONPATH: schemathesis.dir }, maxBuffer: 1 << 28 },
  ).catch((error: { stdout: string; stderr: string }) => error)

  // Without the progress that it draws.
  const report = stdout.slice(stdout.search(/=+ (?:FAILURES|ERRORS|WARNINGS|SUMMARY) =+/))
  const [, generated] = /Test cases:\s+(\d+) generated/.exec(report) ?? []
  t.comment(`FUZZ_SEED=${SEED}, ${generated} requests`)
  t.ok(Number(generated) >= REQUESTS, `${report}\n${stderr}`)
  t.notMatch(report, /FAILURES|ERRORS|\d+ (?:failure|error)/)
  t.strictSame(await subject.listChanges(), [])
  await subject.assertWell()
})
