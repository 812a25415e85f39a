import { test } from 'tap'
import { killWhileLending } from './killing.ts'

// 200 of them in test/field/test-databases.test.ts.
test('a service that is killed 10 times lends no database twice, and leaves none', (t) =>
  killWhileLending(t, 10, Date.now() % 100_000))
