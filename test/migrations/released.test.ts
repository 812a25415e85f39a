import { test } from 'tap'
import { readReleased } from '../../dev/released.ts'
import { readCommittedMigrations } from '../../src/migrations/files/committed.ts'
import { readProjectFile } from '../support/files.ts'

const released = readReleased('migrations')

test('released migrations are as they were released, and the first of the history', async (t) => {
  const committed = await readCommittedMigrations('migrations')

  t.ok(released.length >= 2)
  t.strictSame(
    committed.slice(0, released.length).map(({ filename, hash }) => [filename, hash]),
    released.map(({ filename, hash }) => [filename, hash]),
  )
})

test('a release lists its migrations under its version', async (t) => {
  const { version } = JSON.parse(readProjectFile('package.json'))

  // Also one that brought none.
  const releases = JSON.parse(readProjectFile('migrations/released.json'))
  t.ok(version in releases, `migrations/released.json has ${version}`)
})
