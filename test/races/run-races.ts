import { Race, type RaceReport } from './race.ts'

export interface RaceOptions {
  /** The first schedule's seed; the others follow it, so a failure is found again by its own. */
  readonly seed: number
  /** Schedules are begun until so many calls have been made. */
  readonly calls: number
  /** Each seed's schedule is run so often: a race that was lost once need not be lost again. */
  readonly repeat: number
  /** Schedules at the same time, so that the processors are never idle. */
  readonly lanes: number
}

export interface RaceSummary {
  schedules: number
  calls: number
  deadlocks: number
  serializationFailures: number
  /** How often an observer has compared counters and commands while they ran. */
  looks: number
}

/** Runs schedules until enough calls have been made, or one breaks a rule: that one's report. */
export async function runRaces(
  url: string,
  options: RaceOptions,
  onSchedule: (summary: Readonly<RaceSummary>) => void = () => {},
): Promise<{ summary: Readonly<RaceSummary>; failed: RaceReport | undefined }> {
  const summary = { schedules: 0, calls: 0, deadlocks: 0, serializationFailures: 0, looks: 0 }
  let begun = 0
  let failed: RaceReport | undefined

  async function runLane(): Promise<void> {
    const race = new Race(url)
    try {
      while (
        failed === undefined &&
        (begun % options.repeat > 0 || summary.calls < options.calls)
      ) {
        const report = await race.run(options.seed + Math.floor(begun++ / options.repeat))
        summary.schedules++
        summary.calls += report.history.callCount
        summary.deadlocks += report.history.deadlocks
        summary.serializationFailures += report.history.serializationFailures
        summary.looks += report.looks
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

/** A failure in words, with the command that runs the same schedule again. */
export function describeFailure({ seed, schedule, problems }: RaceReport): string {
  const batches = schedule.batches.map((batch) => batch.first + batch.late).join(', ')
  const kind = schedule.strict ? ', nothing that may deadlock' : ''
  return [
    `schedule ${seed} broke ${problems.length} rules; batches of ${batches} commands, ` +
      `${schedule.sessions.length} sessions${kind}:`,
    ...problems.slice(0, 10).map((problem) => `  ${problem}`),
    `run it again: npm run test:races -- --seed=${seed} --calls=1 --repeat=100`,
  ].join('\n')
}
