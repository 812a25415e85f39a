import { test } from 'tap'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import { readProjectFile } from '../support/files.ts'

const releases: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(
  readProjectFile('migrations/released.json'),
)
const released = Object.values(releases).flatMap((files) => Object.entries(files))

test('released migrations are as they were released, and the first of the history', async (t) => {
  const committed = await readCommittedMigrations('migrations')

  t.ok(released.length >= 2)
  t.strictSame(
    committed.slice(0, released.length).map(({ filename, hash }) => [filename, hash]),
    released,
  )
})

test('a release lists its migrations under its version', async (t) => {
  const { version } = JSON.parse(readProjectFile('package.json'))

  t.ok(version in releases, `migrations/released.json has ${version}`)
})
