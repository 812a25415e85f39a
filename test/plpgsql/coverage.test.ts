// How many of each function's statements the tests of the functions run: plpgsql_check's profiler.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'tap'
import { MISSING } from '../sql/coverage.ts'
import { projectDir } from '../support/server.ts'

/** Statements that no test is seen to run, each with the reason. One that is run after all is an error. */
const ACCEPTED: readonly { missed: RegExp; reason: string }[] = [
  {
    missed: /grant_client\.sql:\d+ \((?:assignment|RAISE)\)$/,
    reason:
      'Its test grants the function to another role, and rolls that back: the profiler forgets what it knew about ' +
      'a function whose row in the catalogue has changed.',
  },
]

test('the tests run every statement of every function', {
  skip: MISSING ?? false,
}, async (t) => {
  const { error, stdout } = await measure()

  t.equal(error, null, stdout)
  const functions = [...stdout.matchAll(/^ *(\d+)\/(\d+) +statements of (\w+)$/gm)]
  t.ok(functions.length > 20, 'functions were measured')
  const missed = [...stdout.matchAll(/^ +never ran: (.*)$/gm)].map(([, place = '']) => place)
  t.strictSame(
    missed.filter((place) => !ACCEPTED.some((one) => one.missed.test(place))),
    [],
  )
  t.strictSame(
    ACCEPTED.filter((one) => !missed.some((place) => one.missed.test(place))),
    [],
    'what is accepted is still not run',
  )
  const short = functions.filter(([, ran, statements]) => ran !== statements)
  t.strictSame(
    short.map(([, , , name]) => name),
    ['grant_client'],
  )
})

function measure(): Promise<{ error: Error | null; stdout: string }> {
  const args = [join(projectDir, 'scripts', 'test-sql.mjs'), '--coverage']
  const env = { PATH: process.env.PATH }
  return new Promise((resolve) =>
    execFile(process.execPath, args, { env }, (error, stdout) => resolve({ error, stdout })),
  )
}
