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
  return [
    `nothing tests ${wanted}: expected the name of a function or view, with or without its schema`,
    list('with tests', names(true)),
    list('without tests', names(false)),
  ].join('\n')
}
