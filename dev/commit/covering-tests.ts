import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CatalogObject } from './catalog-state.ts'
import { lastName } from './places.ts'

/** A test file, and which of the changed objects it mentions. */
export interface CoveringTest {
  readonly path: string
  readonly names: readonly string[]
}

/**
 * Finds the test files below `test/` that mention a changed object by its name: those named after one first. Parts of a
 * table are looked for by the table's name.
 */
export function findCoveringTests(root: string, changed: readonly CatalogObject[]): CoveringTest[] {
  const names = listNames(changed)
  const folder = join(root, 'test')
  if (names.length === 0 || !existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.test\.[cm]?[jt]s$/.test(path))
    .map((path) => {
      const text = readFileSync(join(folder, path), 'utf8')
      return {
        path: join('test', path),
        names: names.filter((name) =>
          new RegExp(`(?<!\\w)${name}(?!\\w)`).test(`${path}\n${text}`),
        ),
      }
    })
    .filter((test) => test.names.length > 0)
    .sort((one, other) => rank(one) - rank(other) || (one.path < other.path ? -1 : 1))
}

/** The names of the changed objects, without their schema. */
export function listNames(changed: readonly CatalogObject[]): string[] {
  const named = changed.map(({ kind, name, parent }) =>
    ['table', 'view', 'materialized view', 'function', 'procedure', 'type', 'queue'].includes(kind)
      ? lastName(name)
      : kind === 'schema' || parent === null
        ? ''
        : lastName(parent),
  )
  return [...new Set(named)].filter((name) => /^\w+$/.test(name)).sort()
}

const rank = ({ path, names }: CoveringTest) =>
  names.some((name) => path.includes(`/${name}.`)) ? 0 : 1
