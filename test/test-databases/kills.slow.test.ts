import { test } from 'tap'
import { killWhileLending } from './killing.ts'

// 200 of them in test/field/lending/kills.test.ts.
test('two services that are killed 10 times lend no database twice, and leave none', (t) =>
  killWhileLending(t, 10, Date.now() % 100_000))
