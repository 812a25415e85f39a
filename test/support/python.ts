import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { projectDir } from './server.ts'

const run = promisify(execFile)

/** Where a package of the Python registry lies, for PYTHONPATH, or why it could not be had. */
export type PythonPackage = { readonly dir: string } | { readonly missing: string }

/**
 * Installs a package, with what it depends on if wanted, into a folder of its own, which later runs find again.
 * Nothing of it becomes part of the project: it is there to be run in tests.
 */
export async function installPythonPackage(
  name: string,
  version: string,
  options: { readonly dependencies: boolean },
): Promise<PythonPackage> {
  const cache = join(projectDir, 'node_modules', '.cache', 'python')
  // Another folder with its dependencies: what is found there must be what was asked for.
  const dir = join(cache, `${name}-${version}${options.dependencies ? '-complete' : ''}`)
  if (existsSync(dir)) return { dir }

  // Renamed when complete: an interrupted installation must not be taken for a whole one.
  const fresh = `${dir}.${process.pid}`
  try {
    await mkdir(cache, { recursive: true })
    await run(
      'python3',
      ['-m', 'pip', 'install', '--quiet', '--no-color', '--disable-pip-version-check', '--no-input']
        .concat(['--only-binary', ':all:', '--retries', '0', '--timeout', '10'])
        .concat(options.dependencies ? [] : ['--no-deps'])
        .concat(['--target', fresh, `${name}==${version}`]),
      { timeout: 240_000 },
    )
    await rename(fresh, dir)
    return { dir }
  } catch (error) {
    if (existsSync(dir)) return { dir }
    const lines = (error as Error).message.split('\n')
    const reason = lines.findLast((line) => line.startsWith('ERROR')) ?? lines[0]
    return { missing: `${name} ${version} could not be had from the Python registry: ${reason}` }
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}
