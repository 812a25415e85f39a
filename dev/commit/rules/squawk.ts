import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { offsetOfLine } from '../../../src/migrations/files/lines.ts'
import type { MigrationText } from '../text/migration-text.ts'
import type { Finding } from './finding.ts'

/** In front of squawk's names of its rules. */
export const SQUAWK = 'squawk/'

/** graphile-migrate runs a file in a transaction, and the service limits how long it waits for a lock. */
const DEFAULTS = [
  '--assume-in-transaction',
  '--exclude=require-lock-timeout,require-statement-timeout',
]

/** What squawk writes with `--reporter json`; lines and columns count from 0. */
interface Report {
  readonly line: number
  readonly column: number
  readonly message: string
  readonly help: string | null
  readonly rule_name: string
}

/** Runs squawk over the migration, with the settings beside the migrations folder; undefined if squawk is not installed. */
export async function runSquawk(
  text: MigrationText,
  migrationsDir: string,
): Promise<Finding[] | undefined> {
  const config = join(dirname(migrationsDir), '.squawk.toml')
  const settings = existsSync(config) ? ['--config', config] : DEFAULTS
  const output = await run(
    ['--reporter', 'json', '--stdin-filepath', 'current.sql', ...settings],
    text.sql,
  )
  // Without the package for this platform, it prints nothing.
  if (output === undefined || !output.stdout.startsWith('[')) return undefined
  const reports = JSON.parse(output.stdout) as Report[]
  // PostgreSQL has run it, so the syntax is valid.
  const found = reports.filter(({ rule_name }) => rule_name !== 'syntax-error')
  return found.map(({ line, column, message, help, rule_name }) => ({
    rule: SQUAWK + rule_name,
    message,
    remedy:
      help ?? `if it is right here, write "-- squawk-ignore ${rule_name}" above the statement`,
    place: text.placeAt(offsetOfLine(text.sql, line) + column),
  }))
}

/** Whether squawk has a rule of this name, given without the prefix. */
export async function hasSquawkRule(name: string): Promise<boolean> {
  const output = await run(['--stdin-filepath', 'none.sql', '--exclude', name], '')
  return output !== undefined && !output.stderr.includes('invalid rule name')
}

async function run(args: readonly string[], input: string) {
  const program = findProgram()
  if (program === undefined) return undefined
  return new Promise<{ stdout: string; stderr: string } | undefined>((resolve) => {
    const squawk = execFile(
      process.execPath,
      [program, ...args],
      { maxBuffer: 64 * 1024 * 1024 },
      // It exits with 1 where it finds something.
      (error, stdout, stderr) => resolve(error?.code === 'ENOENT' ? undefined : { stdout, stderr }),
    )
    squawk.stdin?.end(input)
  })
}

function findProgram(): string | undefined {
  try {
    const { resolve } = createRequire(import.meta.url)
    return join(dirname(resolve('squawk-cli/package.json')), 'js', 'bin', 'squawk')
  } catch {
    return undefined
  }
}
