// Schemathesis makes requests from the description, right and wrong ones, and checks every answer.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installPythonPackage } from '../support/python.ts'

const VERSION = '4.32.5'

export const SEED = process.env.FUZZ_SEED ?? String(Math.trunc(Math.random() * 2 ** 31))

/** Installs it, or says why not. */
export const installSchemathesis = () =>
  installPythonPackage('schemathesis', VERSION, { dependencies: true })

export interface SchemathesisOptions {
  /** Where it is installed. */
  readonly dir: string
  readonly address: string
  readonly token: string
  /** How many requests of a kind it makes for each operation. */
  readonly examples: number
  /** Where it may write. */
  readonly folder: string
  /** A regular expression; default: all. */
  readonly paths?: string
  /** A check of its own that is left out. */
  readonly without?: string
}

/** Runs it; returns what it reports of failures, and how many requests it made. */
export async function runSchemathesis(options: SchemathesisOptions) {
  const { dir, address, token, examples, folder, paths, without } = options
  const { stdout, stderr } = await promisify(execFile)(
    'python3',
    [
      ...[join(dir, 'bin', 'st'), 'run', `${address}/openapi.json`],
      ...['--url', address, '--workers', '2', '--max-examples', String(examples)],
      ...['--phases', 'examples,coverage,fuzzing', '--checks', 'all', '--continue-on-failure'],
      ...['--header', `Authorization: Bearer ${token}`, '--request-timeout', '10'],
      ...['--seed', SEED, '--no-color'],
      ...(paths === undefined ? [] : ['--include-path-regex', paths]),
      ...(without === undefined ? [] : ['--exclude-checks', without]),
    ],
    { cwd: folder, env: { ...process.env, PYTHONPATH: dir }, maxBuffer: 1 << 28 },
  ).catch((error: { stdout: string; stderr: string }) => error)
  // Without the progress that it draws.
  const report = stdout.slice(stdout.search(/=+ (?:FAILURES|ERRORS|WARNINGS|SUMMARY) =+/))
  const [, generated] = /Test cases:\s+(\d+) generated/.exec(report) ?? []
  return { report: `${report}\n${stderr}`, requests: Number(generated) }
}

/** What a report says of a failure, if it says so. */
export const FAILURE = /FAILURES|ERRORS|\d+ (?:failure|error)/
