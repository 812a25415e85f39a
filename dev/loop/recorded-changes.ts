import { beginRecording, finishRecording, readRecorderState } from '../../src/baseline/recorder.ts'
import { RECORD_FORMAT } from '../../src/baseline/recorder-script.ts'
import { type Difference, describeDifference } from '../../src/drift/describe.ts'
import type { Queryable } from '../../src/postgres/client.ts'

type Aspects = Readonly<Record<string, string>>

/** Every object of the recorded schema, by kind and name. */
type Recorded = ReadonlyMap<string, { kind: string; name: string; aspects: Aspects }>

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
  return (await beginRecording(client)) === undefined ? recorded : undefined
}

async function finish(client: Queryable, before: Recorded): Promise<Difference[]> {
  await finishRecording(client)
  return compare(before, await readRecorded(client))
}

function compare(before: Recorded, after: Recorded): Difference[] {
  const keys = new Set([...before.keys(), ...after.keys()])
  return [...keys].sort().flatMap((key) => {
    const [recorded, current] = [before.get(key), after.get(key)]
    const { kind = '', name = '' } = current ?? recorded ?? {}
    const [was, is] = [recorded?.aspects ?? null, current?.aspects ?? null]
    if (JSON.stringify(was) === JSON.stringify(is)) return []
    return describeDifference({ kind, name, recorded: was, current: is, newName: null }) ?? []
  })
}

async function readRecorded(client: Queryable): Promise<Recorded> {
  const { rows } = await client.query<{ kind: string; name: string; aspects: Aspects }>(
    "select kind, name, aspects from provisioning.recorded_object where moment = 'after'",
  )
  return new Map(rows.map((row) => [`${row.kind} ${row.name}`, row]))
}
