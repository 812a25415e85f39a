import { test } from 'tap'
import { killWhileLending } from '../../test-databases/killing.ts'

test('two services that are killed 200 times lend no database twice, and leave none', (t) =>
  killWhileLending(t, 200, Date.now() % 100_000))
