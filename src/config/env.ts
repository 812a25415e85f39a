import { readFileSync } from 'node:fs'
import { parse } from 'pg-connection-string'
import { type SettingProblem, wrongSettingsError } from '../errors/wrong-settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads settings one by one and collects what is wrong with them, so that everything is reported at
 * once. A wrong setting reads as its fallback.
 */
export class SettingsReader {
  readonly problems: SettingProblem[] = []
  readonly #env: Environment

  constructor(env: Environment) {
    this.#env = env
  }

  /** An empty value counts as not set. */
  text(name: string): string | undefined {
    return this.#env[name] || undefined
  }

  integer(name: string, fallback: number, { min, max }: { min: number; max: number }): number {
    const given = this.text(name)
    if (given === undefined) return fallback
    if (/^[0-9]{1,9}$/.test(given) && Number(given) >= min && Number(given) <= max) {
      return Number(given)
    }
    this.reject(name, quote(given), `an integer from ${min} to ${max}`)
    return fallback
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const given = this.text(name)
    const choice = choices.find((candidate) => candidate === given)
    if (given !== undefined && choice === undefined) {
      this.reject(name, quote(given), `one of ${choices.join(', ')}`)
    }
    return choice
  }

  boolean(name: string, fallback: boolean): boolean {
    const choice = this.oneOf(name, ['true', 'false'])
    return choice === undefined ? fallback : choice === 'true'
  }

  /** The value of `name`, or the content of the file that `name_FILE` names. */
  secret(name: string): string | undefined {
    const fileName = `${name}_FILE`
    const value = this.text(name)
    const path = this.text(fileName)
    if (path === undefined) return value
    if (value !== undefined) {
      this.reject(name, `both ${name} and ${fileName}`, 'only one of the two')
      return undefined
    }
    try {
      return readFileSync(path, 'utf8').replace(/\r?\n$/, '') || undefined
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? 'unreadable'
      // The secret itself may have been put here by mistake: only what looks like a path is repeated.
      const given = /^\.{0,2}\//.test(path) ? quote(path) : 'a name'
      this.reject(fileName, `${given} (${reason})`, 'the path of a file that can be read')
      return undefined
    }
  }

  /** A connection string that is complete: no PG* variable fills its gaps. */
  databaseUrl(name: string): string | undefined {
    const given = this.secret(name)
    if (given === undefined) return undefined
    const wrong = findUrlProblem(given)
    if (wrong === undefined) return given
    this.reject(
      name,
      wrong,
      'postgres://USER:PASSWORD@HOST:PORT/DATABASE, special characters in each percent-encoded',
    )
    return undefined
  }

  /** Whether a problem with this setting, or with its `_FILE`, was found. */
  hasProblem(setting: string): boolean {
    return this.problems.some(({ name }) => name === setting || name === `${setting}_FILE`)
  }

  /** Records what is wrong with a setting. */
  reject(name: string, given: string, expected: string): void {
    this.problems.push({ name, given, expected })
  }

  /** Throws one error that names every wrong setting. */
  assertNoProblems(): void {
    if (this.problems.length > 0) throw wrongSettingsError(this.problems)
  }
}

function quote(value: string): string {
  return JSON.stringify(value.length > 300 ? `${value.slice(0, 300)}…` : value)
}

/** Describes what is wrong with a connection string without repeating any part of it. */
function findUrlProblem(url: string): string | undefined {
  if (!/^postgres(ql)?:\/\//.test(url)) return 'a value that does not begin with postgres://'
  // An `@` or `/` in a password: pg would take what follows for the host, and the log would show it.
  if (/^[^/]+\/\/[^/?#]*\/[^?#]*[@/]/.test(url)) return 'a URL with @ or / in the database name'
  try {
    const { user, database } = parse(url)
    if (!user) return 'a URL that names no user'
    if (!database) return 'a URL that names no database'
    return undefined
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    return code === 'ENOENT' ? 'a URL that names a file that does not exist' : 'not a valid URL'
  }
}
