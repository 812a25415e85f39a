// npm run test:races -- [--calls=1000000] [--seed=…] [--kind=small|large|…] [--repeat=…] [--lanes=…]
import { parseArgs } from 'node:util'
import { type Kind, kinds } from './generate.ts'
import { describeFailure, type RaceSummary, runRaces } from './run-races.ts'

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000) * 20) },
    repeat: { type: 'string', default: '1' },
    lanes: { type: 'string', default: '2' },
    kind: { type: 'string' },
  },
})
const options = {
  calls: Number(values.calls),
  seed: Number(values.seed),
  repeat: Number(values.repeat),
  lanes: Number(values.lanes),
}
if (values.kind !== undefined && !(values.kind in kinds)) {
  throw new Error(`--kind is one of ${Object.keys(kinds).join(', ')}`)
}
const kind = values.kind as Kind | undefined
for (const [name, value] of Object.entries(options)) {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} is not a number`)
}

// Starts and stops the test server as tap does.
await import('../support/before.ts')
const { createTestDatabase } = await import('../support/postgres.ts')
const teardowns: (() => Promise<void>)[] = []
try {
  const { url } = await createTestDatabase(
    { teardown: (work) => teardowns.push(work) },
    { from: 'migrated' },
  )
  const startedAtMs = performance.now()
  let shownAtMs = startedAtMs
  console.log(`first seed ${options.seed}, ${options.calls} calls or more`)
  const { summary, failed } = await runRaces(
    url,
    { ...options, ...(kind && { kind }) },
    (summary) => {
      if (performance.now() - shownAtMs < 10_000) return
      shownAtMs = performance.now()
      console.log(describe(summary, startedAtMs))
    },
  )
  console.log(describe(summary, startedAtMs))
  console.log(failed === undefined ? 'every rule held' : describeFailure(failed, kind))
  process.exitCode = failed === undefined ? 0 : 1
} finally {
  for (const teardown of teardowns) await teardown()
  await import('../support/after.ts')
}

function describe(summary: Readonly<RaceSummary>, startedAtMs: number): string {
  const seconds = (performance.now() - startedAtMs) / 1000
  return [
    `${seconds.toFixed(0)} s: ${summary.calls} calls in ${summary.schedules} schedules`,
    `${(summary.calls / seconds).toFixed(0)} a second`,
    `${summary.serializationFailures} x 40001 and ${summary.deadlocks} x 40P01 retried`,
    `${summary.checks} checks meanwhile`,
  ].join(', ')
}
