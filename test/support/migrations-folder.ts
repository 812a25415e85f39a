import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calculateHash } from '../../src/migrations/files/hash.ts'

/** What these helpers need of a tap test. */
interface Teardown {
  teardown(work: () => void): unknown
}

/** Makes a migrations folder that is gone after the test, with one committed file for each body. */
export function createMigrationsFolder(t: Teardown, bodies: readonly string[]): string {
  const folder = createFolder(t)
  mkdirSync(join(folder, 'committed'))
  writeCommitted(folder, bodies)
  return folder
}

export function createFolder(t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-migrations-'))
  chmodSync(folder, 0o755)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes committed files as `graphile-migrate commit` would, and returns their names. */
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
