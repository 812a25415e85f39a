import type { Difference } from '../../src/drift/describe.ts'
import type { Failure } from './failure.ts'
import { formatFailure } from './format.ts'

/** Writes what the loop did, for people. */
export interface Report {
  applied(run: AppliedRun): void
  failed(failure: Failure): void
  /** It was applied, and will fail when it is used. */
  warned(failure: Failure): void
  note(text: string): void
}

export interface AppliedRun {
  /** The files that were saved; empty at the start. */
  readonly files: readonly string[]
  /** How the schema differs from before; undefined if it cannot be known. */
  readonly changes: readonly Difference[] | undefined
  /** From the save, or from the start of the loop. */
  readonly durationMs: number
}

export interface ReportOptions {
  readonly write: (text: string) => void
  /** See `nameFolder`. */
  readonly folder: string
  readonly color: boolean
  readonly now?: () => Date
}

/** The rest of the changes are counted. */
const MAX_CHANGES = 3

/** Creates the report of a terminal: one line for each save, or one error. */
export function createReport(options: ReportOptions): Report {
  const { write, folder, color, now = () => new Date() } = options
  const paint = (code: number, text: string) => (color ? `\x1b[${code}m${text}\x1b[39m` : text)
  const line = (text: string) => write(`[${now().toTimeString().slice(0, 8)}] ${text}\n`)

  const show = (word: string, failure: Failure) =>
    line(`${word}: ${formatFailure(failure, folder, (caret) => paint(31, caret))}`)

  return {
    applied({ files, changes, durationMs }) {
      const what = changes === undefined ? 'applied' : describeChanges(changes)
      const saved = files.length === 0 ? '' : `${listNames(files)}: `
      line(`${saved}${paint(32, what)} (${Math.round(durationMs)} ms)`)
    },
    failed: (failure) => show(paint(31, 'error'), failure),
    warned: (failure) => show(paint(33, 'warning'), failure),
    note: (text) => line(text),
  }
}

/** `function commandbus.sp_start_batch(text, uuid) changed` */
export function describeChanges(changes: readonly Difference[]): string {
  if (changes.length === 0) return 'no definition changed'
  const shown = changes.slice(0, MAX_CHANGES)
  const texts = shown.map(({ kind, name, change }) => `${kind} ${name} ${change}`)
  const more = changes.length - shown.length
  return [...texts, ...(more > 0 ? [`and ${more} more`] : [])].join(', ')
}

function listNames(files: readonly string[]): string {
  const [first = '', ...more] = files.map((file) => file.replace(/^.*\//, ''))
  return more.length === 0 ? first : `${first} and ${more.length} more`
}
