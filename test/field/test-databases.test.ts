import { test } from 'tap'
import { killWhileLending } from '../test-databases/killing.ts'

test('a service that is killed 200 times lends no database twice, and leaves none', (t) =>
  killWhileLending(t, 200, Date.now() % 100_000))
