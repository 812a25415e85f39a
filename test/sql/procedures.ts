import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** A function or a view, which has a fixture, and the file that tests it. */
export interface Tested {
  readonly schema: string
  readonly name: string
  /** From the root of the project; undefined where nothing tests it. */
  readonly file: string | undefined
}

const KINDS = ['functions', 'views']

/**
 * Lists the functions and views that have a fixture. Their tests mirror them: test/schema/<schema>/functions/<name>.test.ts,
 * or a file named for the beginning of several names, as sp_tsq.test.ts.
 */
export function listTested(root: string, migrationsDir: string): Tested[] {
  const fixtures = join(migrationsDir, 'fixtures')
  return readdirSync(fixtures).flatMap((schema) =>
    KINDS.flatMap((kind) => {
      const names = list(join(fixtures, schema, kind), '.sql')
      const folder = join('test', 'schema', schema, kind)
      const tests = list(join(root, folder), '.test.ts')
      return names.map((name) => {
        const test = findTest(name, names, tests)
        return { schema, name, file: test && join(folder, `${test}.test.ts`) }
      })
    }),
  )
}

function findTest(
  name: string,
  names: readonly string[],
  tests: readonly string[],
): string | undefined {
  if (tests.includes(name)) return name
  return tests.find((test) => name.startsWith(`${test}_`) && !names.includes(test))
}

function list(folder: string, ending: string): string[] {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).filter((file) => file.endsWith(ending))
  return files.map((file) => file.slice(0, -ending.length)).sort()
}

/** Finds the tested object, with or without its schema. */
export function findTested(wanted: string, tested: readonly Tested[]): Tested[] {
  return tested.filter(({ schema, name }) => wanted === name || wanted === `${schema}.${name}`)
}

/** Says which there are, for a name that is none of them or that nothing tests. */
export function describeUnknown(wanted: string, tested: readonly Tested[]): string {
  const names = (has: boolean) =>
    tested.filter(({ file }) => (file !== undefined) === has).map(({ name }) => name)
  const list = (title: string, found: readonly string[]) =>
    `${title}:${found.length === 0 ? ' none' : found.map((name) => `\n  ${name}`).join('')}`
  const near = findNear(
    wanted,
    tested.map(({ name }) => name),
  )
  if (near.length > 0)
    return `nothing tests ${wanted}; did you mean ${near.join(' or ')}? Without a name, all tests run`
  return [
    `nothing tests ${wanted}: expected the name of a function or view, with or without its schema`,
    list('with tests', names(true)),
    list('without tests', names(false)),
  ].join('\n')
}

/** How many letters may differ. */
const MAX_DISTANCE = 2
const MAX_NEAR = 3

/** The names that differ by a slip, or that contain the wanted one; the nearest first. */
function findNear(wanted: string, names: readonly string[]): string[] {
  const own = wanted.replace(/^.*\./, '')
  return [...new Set(names)]
    .map((name) => ({ name, distance: countEdits(own, name) }))
    .filter(
      ({ name, distance }) => distance <= MAX_DISTANCE || (own.length > 3 && name.includes(own)),
    )
    .sort((one, other) => one.distance - other.distance)
    .slice(0, MAX_NEAR)
    .map(({ name }) => name)
}

/** How many letters have to be added, taken away or replaced (Levenshtein's distance). */
function countEdits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...to].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
