import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The project's folder; tap runs every file from there. */
export const projectDir = process.cwd()

/** The PostgreSQL that all files of one run share. */
export interface TestServer {
  /** Of a superuser, to its maintenance database. */
  readonly url: string
  /** Tells the databases of this run from those of others on a given server. */
  readonly runId: string
  /** Stops the server when the run has ended; undefined for a server given by TEST_DATABASE_URL. */
  readonly watcherPid: number | undefined
  /** Of a database for all tests of procedures, where `npm run test:sql` runs them. */
  readonly procedures?: string
}

/** Where `before` leaves word for the test files: both are children of the same runner. */
export const noteFile = join(projectDir, '.data', `test-server-${process.ppid}.json`)

export function saveServer(server: TestServer): void {
  mkdirSync(join(projectDir, '.data'), { recursive: true })
  writeFileSync(noteFile, JSON.stringify(server), { mode: 0o600 })
}

export function loadServer(): TestServer {
  try {
    return JSON.parse(readFileSync(noteFile, 'utf8'))
  } catch (cause) {
    throw new Error('no test server: run the file with `npx tap <file>`, which starts one', {
      cause,
    })
  }
}

export function forgetServer(): void {
  rmSync(noteFile, { force: true })
}
