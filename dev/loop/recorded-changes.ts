import { beginRecording, finishRecording, readRecorderState } from '../../src/baseline/recorder.ts'
import { RECORD_FORMAT } from '../../src/baseline/recorder-script.ts'
import { keepCommittedObjects } from '../../src/drift/current-changes.ts'
import { type Difference, describeDifference } from '../../src/drift/describe.ts'
import type { Queryable } from '../../src/postgres/client.ts'

type Aspects = Readonly<Record<string, string>>

/** Every object of the recorded schema, by kind and name. */
type Recorded = ReadonlyMap<string, RecordedObject>

interface RecordedObject {
  readonly kind: string
  readonly name: string
  readonly parent: string | null
  readonly aspects: Aspects
}

/**
 * Records what `work` changes in the schema, so that it is no drift, and returns it with the result of `work`.
 * The changes are undefined where the schema is not recorded; what prevents that does not prevent the work.
 */
export async function recordChanges<T>(
  client: Queryable,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly changes: readonly Difference[] | undefined }> {
  const before = await begin(client).catch(() => undefined)
  try {
    const result = await work()
    return { result, changes: before && (await finish(client, before).catch(() => undefined)) }
  } catch (error) {
    if (before !== undefined) await finishRecording(client).catch(() => {})
    throw error
  }
}

async function begin(client: Queryable): Promise<Recorded | undefined> {
  const { format, problem } = await readRecorderState(client)
  // A schema that was never recorded is not recorded from the middle of its history on.
  if (problem !== undefined || format !== RECORD_FORMAT) return undefined
  const recorded = await readRecorded(client)
  if (recorded.size === 0) return undefined
  await keepCommittedObjects(client)
  return (await beginRecording(client)) === undefined ? recorded : undefined
}

async function finish(client: Queryable, before: Recorded): Promise<Difference[]> {
  await finishRecording(client)
  return compare(before, await readRecorded(client))
}

/** The parts of objects that were added or dropped as a whole are not listed; what is in a new schema is. */
function compare(before: Recorded, after: Recorded): Difference[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort()
  const differences = keys.flatMap((key) => {
    const [recorded, current] = [before.get(key), after.get(key)]
    const object = current ?? recorded
    const isSame = JSON.stringify(recorded?.aspects) === JSON.stringify(current?.aspects)
    return object === undefined || isSame ? [] : { ...object, recorded, current }
  })
  const wholes = new Set(
    differences.flatMap((one) =>
      one.kind === 'schema' || (one.recorded && one.current) ? [] : one.name,
    ),
  )
  return differences.flatMap(({ kind, name, parent, recorded, current }) => {
    if (parent !== null && wholes.has(parent)) return []
    const [was, is] = [recorded?.aspects ?? null, current?.aspects ?? null]
    const difference = { kind, name, parent, recorded: was, current: is, newName: null }
    return describeDifference(difference) ?? []
  })
}

async function readRecorded(client: Queryable): Promise<Recorded> {
  const { rows } = await client.query<RecordedObject>(
    "select kind, name, parent, aspects from provisioning.recorded_object where moment = 'after'",
  )
  return new Map(rows.map((row) => [`${row.kind} ${row.name}`, row]))
}
