import type { Kind } from './generate.ts'
import { Race, type RaceReport } from './race.ts'

export interface RaceOptions {
  /** The first schedule's seed; the next ones count up from it. */
  readonly seed: number
  /** Only schedules of this kind; otherwise the seed selects it. */
  readonly kind?: Kind
  /** New schedules begin until this many calls have been made. */
  readonly calls: number
  /** How often each seed's schedule runs: a race depends on timing, too. */
  readonly repeat: number
  /** How many schedules run at the same time, to keep the processors busy. */
  readonly lanes: number
}

export interface RaceSummary {
  schedules: number
  calls: number
  deadlocks: number
  serializationFailures: number
  /** How often an observer compared counters and commands meanwhile. */
  checks: number
}

/** Runs schedules until enough calls have been made or one breaks a rule; reports that one. */
export async function runRaces(
  url: string,
  options: RaceOptions,
  onSchedule: (summary: Readonly<RaceSummary>) => void = () => {},
): Promise<{ summary: Readonly<RaceSummary>; failed: RaceReport | undefined }> {
  const summary = { schedules: 0, calls: 0, deadlocks: 0, serializationFailures: 0, checks: 0 }
  let begun = 0
  let failed: RaceReport | undefined

  async function runLane(): Promise<void> {
    const race = new Race(url)
    try {
      while (
        failed === undefined &&
        (begun % options.repeat > 0 || summary.calls < options.calls)
      ) {
        const report = await race.run(
          options.seed + Math.floor(begun++ / options.repeat),
          options.kind,
        )
        summary.schedules++
        summary.calls += report.history.callCount
        summary.deadlocks += report.history.deadlocks
        summary.serializationFailures += report.history.serializationFailures
        summary.checks += report.checks
        if (report.problems.length > 0) failed ??= report
        onSchedule(summary)
      }
    } finally {
      await race.close()
    }
  }

  await Promise.all(Array.from({ length: options.lanes }, runLane))
  return { summary, failed }
}

/** Describes a failure, with the command that runs the same schedule again. */
export function describeFailure({ seed, schedule, problems }: RaceReport, kind?: Kind): string {
  const batches = schedule.batches.map((batch) => batch.first + batch.late).join(', ')
  const strict = schedule.strict ? ', strict' : ''
  return [
    `schedule ${seed} broke ${problems.length} rules; batches of ${batches} commands, ` +
      `${schedule.sessions.length} sessions${strict}:`,
    ...problems.slice(0, 10).map((problem) => `  ${problem}`),
    `run it again: npm run test:races -- --seed=${seed}${kind ? ` --kind=${kind}` : ''} --calls=1 --repeat=100`,
  ].join('\n')
}
