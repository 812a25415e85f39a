import { test } from 'tap'
import { createToolWatch } from '../../src/migrations/migration-retry.ts'
import { until } from '../support/until.ts'

interface Line {
  readonly detail: string
  readonly elapsedMs: number
  readonly msg: string
}

/** Begins a migration, and collects what is logged of it. */
function startWatch(lines: Line[]) {
  const info = (facts: never, msg: string) =>
    void lines.push({ ...(facts as object), msg } as never)
  const watch = createToolWatch({
    database: { pool: { query: async () => ({ rows: [] }) } as never },
    lockTimeoutMs: undefined,
    log: { debug: info, info, warn: info, error: info } as never,
    onProgress: () => {},
    stillRunningMs: 10,
  })
  watch.onMigration('000002.sql, 2 of 3')
  return watch
}

test('a migration that runs for long is logged again, ever more rarely, until it ends', async (t) => {
  const lines: Line[] = []
  const watch = startWatch(lines)
  await until('three lines', () => lines.length >= 3)
  watch.stop()

  const { length } = lines
  t.match(lines[0], { msg: 'still migrating', detail: 'applying 000002.sql, 2 of 3' })
  const [first = 0, second = 0, third = 0] = lines.map(({ elapsedMs }) => elapsedMs)
  t.ok(second >= first + 18 && third >= second + 36, `${first}, ${second}, ${third}`)
  const later: Line[] = []
  const other = startWatch(later)
  await until('five lines of another', () => later.length >= 5)
  other.stop()
  t.equal(lines.length, length, 'none after its end')
})
