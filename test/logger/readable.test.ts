import { test } from 'tap'
import { createReadableFormat, formatDuration } from '../../src/logger/readable.ts'

const format = createReadableFormat({ color: false })
const time = '2026-11-26T17:45:16.620Z'
const write = (line: object) => format(`${JSON.stringify({ level: 'info', time, ...line })}\n`)

test('an applied migration is a line with how many there are and how long it took', async (t) => {
  const line = { migration: '000002-e2e.sql', progress: '2 of 14', durationMs: 1730 }

  t.match(
    write({ ...line, msg: 'migration applied' }),
    /^\[\d\d:\d\d:\d\d\] INFO: migration applied: 000002-e2e\.sql, 2 of 14, 1\.7 s\n$/,
  )
})

test('a migration that waits names its blockers', async (t) => {
  const blocker = {
    ...{
      pid: 7,
      gid: null,
      application: 'psql',
      state: 'active',
      ageMs: 65_000,
      query: 'select ?',
    },
  }
  const prepared = { pid: null, gid: 'two', application: null, state: null, ageMs: 1, query: null }
  const line = { detail: 'applying 000002.sql, 2 of 3', elapsedMs: 10_000 }

  t.match(
    write({ ...line, blockers: [blocker, prepared], msg: 'still migrating' }),
    'still migrating: applying 000002.sql, 2 of 3, 10.0 s, blocked by ' +
      'pid 7 (psql, active, 1 min 5 s, select ?); prepared transaction two (1 ms)',
  )
})

test('a text from the database cannot look like a line of its own', async (t) => {
  const forged = 'x\n[19:00:00] INFO: ready \u202e \u001b[31m'

  for (const line of [
    { notice: forged },
    { msg: forged },
    { err: { message: 'm', hint: forged } },
  ]) {
    const [first, ...rest] = write({ msg: 'notice', ...line })
      .trimEnd()
      .split('\n')
    t.match(first, /^\[\d/)
    t.ok(rest.length > 0 && rest.every((one) => one.startsWith('    ')), rest.join('|'))
    for (const hidden of ['\u202e', '\u001b']) t.notOk(rest.join().includes(hidden))
  }
})

test('other facts are named', async (t) => {
  t.match(
    write({ migrations: 14, appliedNow: 2, startMs: 204, msg: 'ready' }),
    'ready: migrations 14, appliedNow 2, start 204 ms\n',
  )
})

test('a foreseen error has a line for each fact, an unforeseen one its stack', async (t) => {
  const foreseen = { type: 'ServiceError', code: 'migration_failed', message: 'no', line: 8 }
  const unforeseen = { type: 'Error', message: 'oh', stack: 'Error: oh\n    at here' }

  t.match(
    write({ err: foreseen, msg: 'exiting' }),
    'exiting\n    no\n    code: migration_failed\n    line: 8',
  )
  t.match(write({ err: unforeseen, msg: 'exiting' }), 'exiting\n    Error: oh\n    at here\n')
})

test('a text of the database gives the terminal no commands', async (t) => {
  t.match(write({ detail: '\u001b[2Jgone\r', msg: 'notice' }), 'notice: \\u001b[2Jgone\\r\n')
})

test('colours are written only where they are wanted', async (t) => {
  const line = `${JSON.stringify({ level: 'error', time, msg: 'oh' })}\n`

  t.match(createReadableFormat({ color: true })(line), '\u001b[')
  t.notMatch(format(line), '\u001b')
})

test('durations are written with the unit that suits them', async (t) => {
  const shown = [0.4, 87, 999, 1000, 59_900, 60_000, 3_725_000].map(formatDuration)

  t.strictSame(shown, ['0 ms', '87 ms', '999 ms', '1.0 s', '59.9 s', '1 min 0 s', '62 min 5 s'])
})
