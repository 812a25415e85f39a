import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { lastName, withoutArguments, wordOf } from '../words.ts'
import type { CatalogObject } from './trial/catalog-state.ts'

/** A test file, and which of the changed objects it mentions. */
export interface CoveringTest {
  readonly path: string
  readonly names: readonly string[]
}

/**
 * Finds the test files below `test/` that mention a changed object by its name: files that are named after one come first. Parts of a
 * table are looked for by the table's name. If any file has a relation's name with its schema, the others do not count: many
 * use the word `batch`.
 */
export function findCoveringTests(root: string, changed: readonly CatalogObject[]): CoveringTest[] {
  const wanted = listWanted(changed)
  const folder = join(root, 'test')
  if (wanted.length === 0 || !existsSync(folder)) return []
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.test\.[cm]?[jt]s$/.test(path))
    .map((path) => ({ path, text: `${path}\n${readFileSync(join(folder, path), 'utf8')}` }))
  const searches = wanted.map(({ name, qualified, isRoutine }) => {
    const precise = wordOf(qualified)
    const isPrecise = !isRoutine && files.some(({ text }) => precise.test(text))
    return { name, pattern: isPrecise ? precise : wordOf(name) }
  })
  return files
    .map(({ path, text }) => ({
      path: join('test', path),
      names: searches.filter(({ pattern }) => pattern.test(text)).map(({ name }) => name),
    }))
    .filter((test) => test.names.length > 0)
    .sort((one, other) => rank(one) - rank(other) || (one.path < other.path ? -1 : 1))
}

interface Wanted {
  /** Without its schema. */
  readonly name: string
  readonly qualified: string
  readonly isRoutine: boolean
}

const WHOLES = ['table', 'view', 'materialized view', 'function', 'procedure', 'type', 'queue']

/** The changed objects, and those that changed ones are parts of; each once, sorted. */
function listWanted(changed: readonly CatalogObject[]): Wanted[] {
  const wanted = changed.flatMap(({ kind, name, parent }) => {
    const whole = WHOLES.includes(kind) ? name : kind === 'schema' ? null : parent
    if (whole === null) return []
    const isRoutine = kind === 'function' || kind === 'procedure'
    return [{ name: lastName(whole), qualified: withoutArguments(whole), isRoutine }]
  })
  return [...new Map(wanted.map((one) => [one.name, one])).values()]
    .filter(({ name }) => /^\w+$/.test(name))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
}

const rank = ({ path, names }: CoveringTest) =>
  names.some((name) => path.includes(`/${name}.`)) ? 0 : 1
