/** One object that is not as the migrations made it. */
export interface Difference {
  readonly kind: string
  /** Quoted and qualified; of a renamed object, the name that the migrations gave it. */
  readonly name: string
  readonly change: 'added' | 'changed' | 'dropped' | 'renamed'
  /** What differs, for people. */
  readonly detail: string
}

type Aspects = Readonly<Record<string, string>>

/** An object with what was recorded of it and what it is now; null where it did not or does not exist. */
export interface ObjectDifference {
  readonly kind: string
  readonly name: string
  /** The object that it is a part of, a schema at last. */
  readonly parent: string | null
  readonly recorded: Aspects | null
  readonly current: Aspects | null
  readonly newName: string | null
}

/** Longer texts are cut; a status is no place for whole functions. */
const MAX_TEXT = 160

/** Describes the difference; undefined if it says nothing that the difference of a part does not. */
export function describeDifference(difference: ObjectDifference): Difference | undefined {
  const { kind, name, recorded, current, newName } = difference
  if (recorded === null) return { kind, name, change: 'added', detail: summarize(current ?? {}) }
  if (current === null) return { kind, name, change: 'dropped', detail: summarize(recorded) }
  if (newName !== null) {
    // The definition contains the name.
    const others = describeAspects(recorded, current).filter(
      ({ aspect }) => aspect !== 'definition',
    )
    const details = [`now ${newName}`, ...others.map(({ detail }) => detail)]
    return { kind, name, change: 'renamed', detail: details.join('; ') }
  }
  const details = describeAspects(recorded, current).map(({ detail }) => detail)
  if (details.length === 0) return undefined
  return { kind, name, change: 'changed', detail: details.join('; ') }
}

function describeAspects(recorded: Aspects, current: Aspects) {
  return [...new Set([...Object.keys(recorded), ...Object.keys(current)])]
    .sort()
    .filter((aspect) => recorded[aspect] !== current[aspect])
    .filter((aspect) => aspect !== 'columns' || isReordered(recorded[aspect], current[aspect]))
    .map((aspect) => ({
      aspect,
      detail: describeAspect(aspect, recorded[aspect], current[aspect]),
    }))
}

/** Whether the columns are the same in another order: a column that came or went has a difference of its own. */
function isReordered(recorded = '', current = ''): boolean {
  const sorted = (columns: string) => columns.split(', ').sort().join(', ')
  return sorted(recorded) === sorted(current)
}

function describeAspect(aspect: string, recorded?: string, current?: string): string {
  if (recorded?.includes('\n') && current?.includes('\n')) {
    return describeLines(aspect, recorded.split('\n'), current.split('\n'))
  }
  return `${aspect}: ${shorten(current)}, was ${shorten(recorded)}`
}

/** The first line that differs, and how many more do: lines that only moved do not count. */
function describeLines(
  aspect: string,
  recorded: readonly string[],
  current: readonly string[],
): string {
  const at = recorded.findIndex((line, index) => line !== current[index])
  const first = at === -1 ? recorded.length : at
  const added = countMissing(current, recorded)
  const removed = countMissing(recorded, current)
  return (
    `${aspect} differs from line ${first + 1}: ${shorten(current[first]?.trim())}, ` +
    `was ${shorten(recorded[first]?.trim())} (lines: ${added} added, ${removed} removed)`
  )
}

/** How many lines of one text the other lacks. */
function countMissing(lines: readonly string[], others: readonly string[]): number {
  const left = new Map<string, number>()
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1)
  let missing = 0
  for (const line of lines) {
    const count = left.get(line) ?? 0
    if (count === 0) missing += 1
    else left.set(line, count - 1)
  }
  return missing
}

/** What an object is or was, in one line. */
function summarize({ definition, columns, tables, owner }: Aspects): string {
  if (definition !== undefined) return shorten(definition.split('\n')[0])
  if (columns !== undefined) return shorten(`columns ${columns}`)
  if (tables !== undefined) return shorten(`tables ${tables}`)
  return owner === undefined ? '' : `owner ${owner}`
}

function shorten(text = 'none'): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length <= MAX_TEXT ? line : `${line.slice(0, MAX_TEXT - 1)}…`
}
