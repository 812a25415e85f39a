import { test } from 'tap'
import { pickLastLines } from '../../../src/database/embedded/postmaster.ts'

test('the last lines of a server log hold no statement of a client', async (t) => {
  const log = [
    '2026-11-26 12:00:00 UTC [7] ERROR:  database "nope" does not exist',
    "2026-11-26 12:00:00 UTC [7] STATEMENT:  alter role app\n\tpassword 'topsecret'",
    '2026-11-26 12:00:01 UTC [1] LOG:  server process (PID 9) was terminated by signal 9: Killed',
    '2026-11-26 12:00:01 UTC [9] CONTEXT:  SQL statement "select \'topsecret\'"',
    '2026-11-26 12:00:02 UTC [1] LOG:  all server processes terminated; reinitializing',
    '',
  ].join('\n')

  t.equal(
    pickLastLines(log),
    [
      '2026-11-26 12:00:00 UTC [7] ERROR:  database "nope" does not exist',
      '2026-11-26 12:00:01 UTC [1] LOG:  server process (PID 9) was terminated by signal 9: Killed',
      '2026-11-26 12:00:02 UTC [1] LOG:  all server processes terminated; reinitializing',
    ].join('\n'),
  )
})

test('of a long log, the end is shown', async (t) => {
  const lines = Array.from({ length: 100 }, (_, index) => `line ${index + 1}`)

  t.strictSame(pickLastLines(lines.join('\n')).split('\n'), lines.slice(-20))
})
