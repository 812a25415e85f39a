import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installPythonPackage, type PythonPackage } from '../../support/python.ts'

const run = promisify(execFile)

/** The releases that the Python registry has, oldest first; 0.1.1 was never published. */
export const RELEASES = [
  ...['0.1.0', '0.1.2', '0.1.3', '0.1.4', '0.1.5', '0.1.6', '0.1.7', '0.1.8', '0.1.9'],
  ...['0.1.10', '0.1.11', '0.2.0', '0.2.1', '0.2.2'],
] as const

export type Release = (typeof RELEASES)[number]

/** What each scenario of scenarios.py came to: `done`, `not offered`, or what went wrong. */
export type Results = Readonly<Record<string, string>>

/** The newest release with what all of them depend on, so that this is installed once. */
const NEWEST = '0.2.2'

/** Installs a release; its folder is a list for PYTHONPATH. */
export async function installRelease(release: Release): Promise<PythonPackage> {
  const newest = await installPythonPackage('reliable-cmd', NEWEST, { dependencies: true })
  if ('missing' in newest || release === NEWEST) return newest
  const library = await installPythonPackage('reliable-cmd', release, { dependencies: false })
  return 'missing' in library ? library : { dir: `${library.dir}:${newest.dir}` }
}

export interface RunOptions {
  /** Of the role that the client logs in as. */
  readonly url: string
  /** A domain whose queues exist. */
  readonly domain: string
  /** A file with Python that runs before the client is used. */
  readonly prelude?: string
}

/** Runs every scenario with the installed client. */
export async function runScenarios(
  pythonPath: string,
  { url, domain, prelude }: RunOptions,
): Promise<Results> {
  const { stdout } = await run('python3', [join(import.meta.dirname, 'scenarios.py')], {
    env: {
      PATH: process.env.PATH,
      PYTHONPATH: pythonPath,
      CLIENT_DATABASE_URL: url,
      CLIENT_DOMAIN: domain,
      ...(prelude !== undefined && { CLIENT_PRELUDE: prelude }),
    },
    timeout: 300_000,
    maxBuffer: 64 * 1024 * 1024,
  })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}
