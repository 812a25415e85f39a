import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { type SettingProblem, wrongSettingsError } from '../errors/wrong-settings.ts'
import { ConnectionUrlError, parseConnectionUrl } from '../postgres/connection/url.ts'
import { parseHostSetting } from './host-name.ts'
import { LearnedSecrets } from './learned-secrets.ts'
import { createMask } from './redact.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads settings one by one and collects what is wrong with them, so that everything is reported at
 * once. A wrong setting reads as its fallback.
 */
export class SettingsReader {
  readonly problems: SettingProblem[] = []
  readonly #env: Environment
  readonly #secrets: LearnedSecrets

  constructor(env: Environment) {
    this.#env = env
    this.#secrets = listSecretValues(env)
  }

  /** An empty value counts as not set. */
  text(name: string): string | undefined {
    return this.#env[name] || undefined
  }

  /** A text that the log shows, such as a path or a host: never a URL, which may hold a password. */
  plainText(name: string, expected: string): string | undefined {
    const given = this.text(name)
    if (given === undefined || !looksLikeUrl(given)) return given
    this.reject(name, describe(given), expected)
    return undefined
  }

  integer(name: string, fallback: number, { min, max }: { min: number; max: number }): number {
    const given = this.text(name)
    if (given === undefined) return fallback
    if (/^[0-9]{1,9}$/.test(given) && Number(given) >= min && Number(given) <= max) {
      return Number(given)
    }
    this.reject(name, describe(given), `an integer from ${min} to ${max}`)
    return fallback
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const given = this.text(name)
    const choice = choices.find((candidate) => candidate === given)
    if (given !== undefined && choice === undefined) {
      this.reject(name, describe(given), `one of ${choices.join(', ')}`)
    }
    return choice
  }

  /** Host names or addresses, separated by commas. */
  hosts(name: string): string[] {
    const given = this.text(name) ?? ''
    const hosts = given.split(',').flatMap((host) => host.trim() || [])
    const parsed = hosts.flatMap((host) => parseHostSetting(host) ?? [])
    if (parsed.length === hosts.length) return parsed
    this.reject(
      name,
      describe(given),
      'host names or addresses, without ports, separated by commas',
    )
    return []
  }

  /** Names in the database, separated by commas, each as it is there; quoted if it has other characters. */
  identifiers(name: string): string[] {
    const given = this.text(name) ?? ''
    const names = parseIdentifiers(given)
    if (names !== undefined) return names
    this.reject(
      name,
      describe(given),
      'names of schemas, separated by commas, as they are in the database; in double quotes if they have ' +
        'other characters than letters, digits, _, $, - and blanks',
    )
    return []
  }

  /** A host and a port, such as `db.example.com:5432` or `[::1]:5432`. */
  address(name: string): { readonly host: string; readonly port: number } | undefined {
    const given = this.text(name)
    if (given === undefined) return undefined
    const [, hostPart = '', portPart = ''] = /^(.*):([0-9]{1,5})$/.exec(given) ?? []
    const host = parseHostSetting(hostPart)
    const port = Number(portPart)
    if (host !== undefined && port >= 1 && port <= 65_535) return { host, port }
    this.reject(name, describe(given), 'HOST:PORT, such as db.example.com:5432')
    return undefined
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
      const content = readFileSync(path, 'utf8').replace(/\r?\n$/, '') || undefined
      this.#secrets.add(content ?? '')
      return content
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? 'unreadable'
      // The secret itself may have been put here by mistake: only what begins as a path is repeated.
      const given = beginsAsPath(path) ? describe(path) : 'a name'
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

  /** The base URL of an HTTP server. One with a password would show it to everybody who sees the settings. */
  httpUrl(name: string): string | undefined {
    const given = this.text(name)
    if (given === undefined) return undefined
    const url = URL.canParse(given) ? new URL(given) : undefined
    const isPlain =
      url !== undefined &&
      /^https?:$/.test(url.protocol) &&
      url.username + url.password + url.search + url.hash === ''
    if (isPlain) return given
    this.reject(
      name,
      describe(given),
      'an address such as http://collector:4318, by http or https, without user, query or fragment',
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

  /** Throws one error that names every wrong setting, and shows no secret that was put into another. */
  assertNoProblems(): void {
    if (this.problems.length === 0) return
    const mask = createMask({ secrets: this.#secrets })
    throw wrongSettingsError(
      this.problems.map((problem) => ({ ...problem, given: mask(problem.given) })),
    )
  }
}

/** Repeats a wrong value, unless it is a URL that was put here by mistake. */
function describe(given: string): string {
  return looksLikeUrl(given) ? 'a value that looks like a URL' : quote(given)
}

function looksLikeUrl(text: string): boolean {
  return /:\/|:[^@]*@/.test(text)
}

/** Whether the first folder of a path exists; `/` may also begin a token in base64. */
function beginsAsPath(path: string): boolean {
  const [first] = /^(?:\.{1,2}|\/[^/]+)(?=\/)/.exec(path) ?? []
  return first !== undefined && existsSync(first)
}

/** The values of all variables whose names are those of secrets, whether they parse or not. */
export function listSecretValues(env: Environment): LearnedSecrets {
  const secrets = new LearnedSecrets()
  for (const [name, value] of Object.entries(env)) {
    if (/^(?!.*_FILE$).*(?:DATABASE_URL|TOKEN|PASSWORD)$/.test(name)) secrets.add(value ?? '')
  }
  return secrets
}

/** Undefined if one of them is not a name; an empty one is none, as behind a last comma. */
function parseIdentifiers(text: string): string[] | undefined {
  const names: string[] = []
  for (const item of text.match(/(?:"(?:[^"]|"")*"|[^,"])+|"/g) ?? []) {
    const trimmed = item.trim()
    if (trimmed === '') continue
    const quoted = /^"((?:[^"]|"")+)"$/.exec(trimmed)?.[1]?.replaceAll('""', '"')
    const name = quoted ?? (/^[\p{L}_][\p{L}\p{N}_$ -]*$/u.test(trimmed) ? trimmed : undefined)
    if (name === undefined || Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES) return undefined
    names.push(name)
  }
  return [...new Set(names)]
}

/** PostgreSQL cuts longer ones. */
const MAX_IDENTIFIER_BYTES = 63

function quote(value: string): string {
  return JSON.stringify(value.length > 300 ? `${value.slice(0, 300)}…` : value)
}

/** Describes what is wrong with a connection string without repeating any secret part of it. */
function findUrlProblem(url: string): string | undefined {
  try {
    const { rootCertificate, certificate, key, revocationList } = parseConnectionUrl(url).tls
    const files = {
      sslrootcert: rootCertificate === 'system' ? undefined : rootCertificate,
      sslcert: certificate,
      sslkey: key,
      sslcrl: revocationList,
    }
    const unreadable = Object.entries(files).find(([, path]) => path && !isReadable(path))
    return unreadable && `a URL whose ${unreadable[0]} names no file that can be read`
  } catch (error) {
    if (error instanceof ConnectionUrlError) return error.message
    throw error
  }
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return true
  } catch {
    return false
  }
}
