import { randomBytes } from 'node:crypto'
import { type Outcome, tryDocker } from './docker.ts'

/** A compose project of its own, on free ports, for one test. */
export interface Stack {
  readonly name: string
  /** `docker compose …`, to its end. */
  run(...args: string[]): Promise<Outcome>
  /** The same, which must succeed; returns what it printed. */
  compose(...args: string[]): Promise<string>
  /** The service's address on this machine, as it is published now. */
  address(): Promise<string>
  /** One value from the stack's database. */
  query(sql: string): Promise<string>
}

interface Test {
  teardown(work: () => Promise<unknown>): unknown
}

export interface StackOptions {
  /** The project's name, if it is another stack's. */
  readonly name?: string
  readonly directory: string
  readonly file?: string
  /** What the service is called in it. */
  readonly service?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Everything of the project is removed when the test has ended. */
export function openStack(t: Test, options: StackOptions): Stack {
  const name = options.name ?? `commandbus-test-${randomBytes(4).toString('hex')}`
  const env = {
    COMPOSE_PROJECT_NAME: name,
    ...{ HTTP_PORT: '0', POSTGRES_PORT: '0', E2E_HTTP_PORT: '0', E2E_POSTGRES_PORT: '0' },
    ...{ TEST_HTTP_PORT: '0', TEST_POSTGRES_PORT: '0' },
    ...options.env,
  }
  const file = options.file === undefined ? [] : ['--file', options.file]
  const run = (...args: string[]) =>
    tryDocker(['compose', '--progress=quiet', ...file, ...args], { cwd: options.directory, env })
  const compose = async (...args: string[]) => {
    const { exitCode, output } = await run(...args)
    if (exitCode !== 0) throw new Error(`docker compose ${args.join(' ')}: ${output}`)
    return output
  }
  t.teardown(() => run('--profile', '*', 'down', '--volumes', '--rmi', 'local', '--timeout', '2'))

  return {
    name,
    run,
    compose,
    address: async () =>
      `http://${await compose('port', options.service ?? 'commandbus-db', '8080')}`,
    query: (sql) =>
      compose('exec', '-T', 'postgres', 'psql', '-U', 'postgres', '-Atc', sql, 'commandbus'),
  }
}
