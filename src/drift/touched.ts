import { dependentsSql, OBJECT_STAMPS_SQL, type ObjectStamp } from '../catalog/object-stamps.ts'
import type { Statements } from './statements.ts'

/** The stamps of all objects, by kind and oid. */
export type Stamps = ReadonlyMap<string, ObjectStamp>

type Key = Pick<ObjectStamp, 'kind' | 'oid'>

/** From here on reading everything is as fast. */
const MAX_TOUCHED = 200

const keyOf = ({ kind, oid }: Key) => `${kind} ${oid}`

/** Reads the stamps of all objects that users made. */
export async function readStamps(statements: Statements): Promise<Stamps> {
  const rows = await statements.run<ObjectStamp>(objectStamps)
  return new Map(rows.map((one) => [keyOf(one), one]))
}

const objectStamps = () => OBJECT_STAMPS_SQL

/**
 * The names of the objects whose definitions may have changed between two readings, those that came or went
 * included. Undefined where that may be any: a renamed object is mentioned in the definitions of others, whose
 * own rows stay the same; so are the values of a type.
 */
export async function findTouched(
  statements: Statements,
  before: Stamps,
  now: Stamps,
): Promise<readonly string[] | undefined> {
  const touched = new Set<string>()
  const relations: string[] = []
  for (const [key, one] of now) {
    const old = before.get(key)
    if (old?.stamp === one.stamp && old.name === one.name) continue
    touched.add(one.name)
    if (old === undefined) continue
    if (old.name !== one.name || one.kind === 'type' || one.kind === 'mentioned') return undefined
    if (one.kind === 'relation') relations.push(`${one.oid}`)
  }
  for (const [key, old] of before) {
    if (!now.has(key)) touched.add(old.name)
  }
  if (touched.size > MAX_TOUCHED) return undefined
  // Views and foreign keys mention the columns of other relations.
  if (relations.length > 0) {
    for (const key of await statements.run<Key>(dependentsSql, relations)) {
      const name = now.get(keyOf(key))?.name
      if (name !== undefined) touched.add(name)
    }
  }
  return [...touched]
}
