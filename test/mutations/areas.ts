/** Which tests ought to notice a change, the nearest first. */
const AREAS: readonly (readonly [string, readonly string[]])[] = [
  ['src/catalog', ['test/catalog', 'test/reset', 'test/baseline', 'test/http', 'test/service']],
  ['src/baseline', ['test/baseline', 'test/reset']],
  ['src/reset', ['test/reset', 'test/http', 'test/baseline']],
  ['src/migrations', ['test/migrations', 'test/service', 'test/dev', 'test/schema/e2e']],
  ['src/postgres', ['test/postgres', 'test/database', 'test/service', 'test/reset']],
  ['src/database', ['test/database', 'test/service']],
  ['src/http', ['test/http', 'test/service', 'test/docs.test.ts']],
  ['src/config', ['test/config', 'test/service', 'test/http']],
  ['src/errors', ['test/errors', 'test/http', 'test/service']],
  ['src', ['test/service', 'test/http', 'test/readiness.test.ts', 'test/version.test.ts']],
  ['client', ['test/client']],
  ['migrations/fixtures/e2e', ['test/schema/e2e', 'test/schema/adoption']],
  [
    'migrations/fixtures/commandbus/adoption',
    ['test/schema/adoption', 'test/schema/legacy-names.slow.test.ts'],
  ],
  ['migrations/fixtures', ['test/schema', 'test/races']],
]

/** Files and folders of tests, from the root of the project; the mirrored place comes first. */
export function testsOf(path: string): string[] {
  const tests = AREAS.find(([area]) => path.startsWith(`${area}/`))?.[1] ?? ['test']
  const mirrored = path
    .replace(/^src\//, 'test/')
    .replace(/^client\//, 'test/client/')
    .replace(/^migrations\/fixtures\//, 'test/schema/')
    .replace(/\.(?:ts|sql)$/, '')
  return [`${mirrored}.test.ts`, `${mirrored}.slow.test.ts`, ...tests]
}

/** Every area's folder, for the report. */
export function areaOf(path: string): string {
  return path.startsWith('src/')
    ? path.split('/').slice(0, 2).join('/')
    : (path.split('/')[0] ?? '')
}
