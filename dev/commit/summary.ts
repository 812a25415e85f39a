import { existsSync, readFileSync } from 'node:fs'
import type { CoveringTest } from './covering-tests.ts'
import type { SchemaChanges } from './files/schema-files.ts'
import type { CatalogObject } from './trial/catalog-state.ts'
import type { Trial } from './trial/trial.ts'

export interface Committed {
  /** Of the committed file, from the project's folder. */
  readonly path: string
  readonly trial: Trial
  readonly schema: SchemaChanges
  readonly tests: readonly CoveringTest[]
  /** What could not be checked, and why. */
  readonly unchecked: readonly string[]
}

/** The rest of a list is counted. */
const MAX_LISTED = 5

/** Describes what a commit did, one thing a line, and which tests cover it. */
export function describeCommitted({ path, trial, schema, tests, unchecked }: Committed): string {
  const files = schema.changes.map((change) => change.path)
  const lines: [string, readonly string[]][] = [
    ['committed', [path]],
    ...listObjects(trial),
    ['renewed', schema.problem === undefined ? files : [`nothing: ${schema.problem}`]],
    ['tests', describeTests(tests)],
    ['unchecked', unchecked],
  ]
  return lines
    .filter(([, texts]) => texts.length > 0)
    .flatMap(([title, texts]) =>
      limit(texts).map((text, at) => `${(at === 0 ? title : '').padEnd(9)}  ${text}\n`),
    )
    .join('')
}

/** The parts of an object that is new or gone are not listed. */
function listObjects({ before, after, changed }: Trial): [string, readonly string[]][] {
  const describe = (object: CatalogObject) => {
    const key = `${object.kind} ${object.name}`
    return !before.objects.has(key) ? 'added' : after.objects.has(key) ? 'changed' : 'dropped'
  }
  const wholes = new Set(
    changed
      .filter((one) => one.kind !== 'schema' && describe(one) !== 'changed')
      .map(({ name }) => name),
  )
  const listed = changed.filter(({ parent }) => parent === null || !wholes.has(parent))
  return ['added', 'changed', 'dropped'].map((change) => [
    change,
    listed.filter((one) => describe(one) === change).map(({ kind, name }) => `${kind} ${name}`),
  ])
}

function describeTests(tests: readonly CoveringTest[]): string[] {
  if (tests.length === 0) return ['none mentions what changed']
  const names = [...new Set(tests.flatMap((test) => test.names))].sort()
  const paths = tests.slice(0, MAX_LISTED).map(({ path }) => path)
  const more = tests.length - paths.length
  return [
    ...(hasScript('test:sql')
      ? names.filter(isCovered(tests)).map((name) => `npm run test:sql -- ${name}`)
      : []),
    `${tests.length} mention${tests.length === 1 ? 's' : ''} ${names.join(', ')}: npm test -- ${paths.join(' ')}${more > 0 ? ` (and ${more} more)` : ''}`,
  ]
}

/** Whether `npm run test:sql` knows tests of this name: their file is named for it, or for its beginning. */
const isCovered = (tests: readonly CoveringTest[]) => (name: string) =>
  tests.some(({ path }) => {
    const file = /^test\/schema\/\w+\/(?:functions|views)\/(\w+)\.test\.ts$/.exec(path)?.[1]
    return file !== undefined && `${name}_`.startsWith(`${file}_`)
  })

function hasScript(name: string): boolean {
  if (!existsSync('package.json')) return false
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts?: object }
  return name in (scripts ?? {})
}

function limit(texts: readonly string[]): readonly string[] {
  if (texts.length <= MAX_LISTED) return texts
  return [...texts.slice(0, MAX_LISTED), `and ${texts.length - MAX_LISTED} more`]
}
