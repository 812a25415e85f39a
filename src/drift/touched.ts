import {
  dependentsSql,
  OBJECT_STAMPS_SQL,
  type ObjectStamp,
  OTHER_STAMPS_SQL,
  ROUTINE_STAMPS_SQL,
} from '../catalog/object-stamps.ts'
import type { Statement, Statements } from './statements.ts'

/** The stamps of all objects, by kind and oid. */
export type Stamps = ReadonlyMap<string, ObjectStamp>

type Key = Pick<ObjectStamp, 'kind' | 'oid'>

/** From here on reading everything is as fast. */
const MAX_TOUCHED = 200

const keyOf = ({ kind, oid }: Key) => `${kind} ${oid}`

/** What may have changed since some stamps were read. */
export type Changed = 'routines' | 'others' | 'all'

/** Reads the stamps of what changed of the objects that users made; the rest is as it was before. */
export async function readStamps(
  statements: Statements,
  changed: Changed,
  before?: Stamps,
): Promise<Stamps> {
  const rows = await statements.run<ObjectStamp>(STAMPS[changed])
  const isRest = ({ kind }: ObjectStamp) =>
    changed !== 'all' && (kind === 'routine') === (changed === 'others')
  const rest = [...(before?.values() ?? [])].filter(isRest)
  return new Map([...rest, ...rows].map((one) => [keyOf(one), one]))
}

const STAMPS = {
  routines: () => ROUTINE_STAMPS_SQL,
  others: () => OTHER_STAMPS_SQL,
  all: () => OBJECT_STAMPS_SQL,
} satisfies Record<Changed, Statement>

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
