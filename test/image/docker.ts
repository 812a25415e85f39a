import { execFile, execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { projectDir } from '../support/server.ts'

/** How a command ended, and all that it printed. */
export interface Outcome {
  readonly exitCode: number
  readonly output: string
}

/** For tap: `t.test(name, needsEngine, …)` skips, and says so, where no container engine answers. */
export const needsEngine: { readonly skip: string | false } = { skip: findWhyNoEngine() }

/** The image that this run builds: no other run, and nobody's `commandbus-db`, is touched. */
export const testImage = `commandbus-db:test-${process.pid}`

/** Builds it for as long as the test lives. */
export async function buildTestImage(t: Test): Promise<void> {
  t.teardown(() => docker('rmi', '--force', testImage))
  await docker('build', '--quiet', '--tag', testImage, '.')
}

/** Runs docker to its end, whatever that is. */
export function tryDocker(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(
      'docker',
      args,
      {
        cwd: options.cwd ?? projectDir,
        env: { ...process.env, ...options.env },
        maxBuffer: 64 * 1024 * 1024,
        timeout: 300_000,
      },
      (error, stdout, stderr) => {
        const code = error?.code
        resolve({
          exitCode: error ? (typeof code === 'number' ? code : 1) : 0,
          output: `${stdout}${stderr}`.trim(),
        })
      },
    )
  })
}

/** Runs docker and returns what it printed; fails with it where docker failed. */
export async function docker(...args: string[]): Promise<string> {
  const { exitCode, output } = await tryDocker(args)
  if (exitCode !== 0) throw new Error(`docker ${args.join(' ')}: ${output}`)
  return output
}

/** One value of what docker knows of a container or an image. */
export async function inspect<T>(name: string, path: string): Promise<T> {
  return JSON.parse(await docker('inspect', '--format', `{{json ${path}}}`, name))
}

/** Asks again and again until the answer will do. */
export async function until<T>(
  ask: () => Promise<T>,
  willDo: (answer: T) => boolean,
  { withinMs = 30_000 } = {},
): Promise<T> {
  const deadline = Date.now() + withinMs
  while (true) {
    const answer = await ask()
    if (willDo(answer)) return answer
    if (Date.now() > deadline)
      throw new Error(`not within ${withinMs} ms: ${JSON.stringify(answer)}`)
    await sleep(50)
  }
}

function findWhyNoEngine(): string | false {
  try {
    execFileSync('docker', ['version', '--format', '{{.Server.Version}}'], { stdio: 'pipe' })
    return false
  } catch (error) {
    const reason = (error as Error).message.trim().split('\n').at(-1)
    const why = `no container engine answers: ${reason}`
    process.stderr.write(`\n*** SKIPPED, ${why} ***\n\n`)
    return why
  }
}
