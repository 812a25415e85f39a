import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The part of a tap test that these helpers use. */
interface Teardown {
  teardown(work: () => void): unknown
}

/** graphile-migrate's own function, so that the files do not depend on the code under test. */
export const { calculateHash } = createRequire(import.meta.url)(
  'graphile-migrate/dist/hash.js',
) as { calculateHash(body: string, previousHash: string | null): string }

/** Creates a migrations folder for one test, with one committed file for each body. */
export function createMigrationsFolder(t: Teardown, bodies: readonly string[]): string {
  const folder = createFolder(t)
  mkdirSync(join(folder, 'committed'))
  writeCommitted(folder, bodies)
  return folder
}

/** Creates a folder that is deleted after the test. */
export function createFolder(t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-migrations-'))
  chmodSync(folder, 0o755)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes committed files as `graphile-migrate commit` does, and returns their names. */
export function writeCommitted(folder: string, bodies: readonly string[]): string[] {
  let previous: string | null = null
  return bodies.map((body, index) => {
    const hash = calculateHash(body, previous)
    const filename = `${String(index + 1).padStart(6, '0')}-step-${index + 1}.sql`
    const headers = `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n--! Message: step`
    writeFileSync(join(folder, 'committed', filename), `${headers}\n\n${body.trim()}\n`)
    previous = hash
    return filename
  })
}
