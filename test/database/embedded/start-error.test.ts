import { test } from 'tap'
import { startError } from '../../../src/database/embedded/start-error.ts'

test('the message ends with the last lines of output, or with the reason if there are none', async (t) => {
  t.equal(startError('it ended', '').message, 'the embedded server cannot start: it ended')
  t.equal(
    startError('it ended', 'a\nb\n').message,
    'the embedded server cannot start: it ended\n  a\n  b',
  )
})
