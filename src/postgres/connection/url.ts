import { parseOptions } from './options.ts'

/** One of the servers that a connection string names. */
export interface Address {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
}

export const SSL_MODES = [
  'disable',
  'allow',
  'prefer',
  'require',
  'verify-ca',
  'verify-full',
] as const

export type SslMode = (typeof SSL_MODES)[number]

/** The files are named here and read for each connection, since certificates are renewed. */
export interface TlsSettings {
  readonly mode: SslMode
  /** `direct` begins with TLS at once, which PostgreSQL 17 and later understand. */
  readonly negotiation: 'postgres' | 'direct'
  /** A file of trusted certificates, or `system`: those that Node.js trusts. */
  readonly rootCertificate: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
  readonly keyPassword: string | undefined
  readonly revocationList: string | undefined
  readonly minVersion: TlsVersion | undefined
  readonly maxVersion: TlsVersion | undefined
  readonly sendsServerName: boolean
}

const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
type TlsVersion = (typeof TLS_VERSIONS)[number]

/** What a connection string says. */
export interface ConnectionSettings {
  /** In the order in which they are tried; at least one. */
  readonly hosts: readonly [Address, ...Address[]]
  readonly user: string
  readonly password: string
  readonly database: string
  /** Settings of the session, from the parameter `options`. */
  readonly options: Readonly<Record<string, string>>
  /** For each host; undefined where the URL has none, or no limit. */
  readonly connectTimeoutMs: number | undefined
  readonly target: 'any' | 'read-write' | 'primary'
  readonly inRandomOrder: boolean
  readonly channelBinding: 'disable' | 'prefer' | 'require'
  readonly tls: TlsSettings
}

/** Says what is wrong with a connection string without repeating any secret part of it. */
export class ConnectionUrlError extends Error {}

/**
 * Reads a connection string as PostgreSQL's own library does
 * (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS), but for three
 * things: user and database must be named, an `@` in the user or the password may stay as it is, and
 * parameters without a meaning here are rejected by name.
 */
export function parseConnectionUrl(url: string): ConnectionSettings {
  const match = /^postgres(?:ql)?:\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(url)
  if (match === null) throw new ConnectionUrlError('a value that does not begin with postgres://')
  const [, authority = '', path = '', query = ''] = match
  const at = authority.lastIndexOf('@')
  const [, userPart = '', passwordPart] =
    /^([^:]*)(?::(.*))?$/s.exec(authority.slice(0, Math.max(at, 0))) ?? []
  // An unencoded `/` in a password: what follows would be taken for the database, and be shown.
  if (/[@/]/.test(path)) throw new ConnectionUrlError('a URL with @ or / in the database name')
  const hosts = splitHosts(authority.slice(at + 1))
  // Before the parameters are read: after an unencoded `?` in a password they would hold its rest.
  const parameters = readParameters(query)

  const user = parameters.get('user') ?? decode(userPart)
  const database = parameters.get('dbname') ?? decode(path)
  if (user === '') throw new ConnectionUrlError('a URL that names no user')
  if (database === '') throw new ConnectionUrlError('a URL that names no database')
  const tls = readTls(parameters)
  const channelBinding =
    oneOf(parameters, 'channel_binding', ['disable', 'prefer', 'require']) ?? 'prefer'
  if (channelBinding === 'require' && !isTlsCertain(tls.mode)) {
    throw new ConnectionUrlError('channel_binding=require without sslmode=require or stronger')
  }
  checkTheRest(parameters)
  return {
    hosts: mergeHosts(hosts, parameters),
    user,
    password: parameters.get('password') ?? decode(passwordPart ?? ''),
    database,
    options: readOptions(parameters),
    connectTimeoutMs: readConnectTimeout(parameters),
    target: oneOf(parameters, 'target_session_attrs', ['any', 'read-write', 'primary']) ?? 'any',
    inRandomOrder: oneOf(parameters, 'load_balance_hosts', ['disable', 'random']) === 'random',
    channelBinding,
    tls,
  }
}

/** Whether a connection in this mode is never without TLS. */
export function isTlsCertain(mode: SslMode): boolean {
  return mode === 'require' || mode === 'verify-ca' || mode === 'verify-full'
}

type Parameters = ReadonlyMap<string, string>

/** Without effect here, but not wrong: hints for the network layer, and what the service sets itself. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'application_name',
  'fallback_application_name',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'tcp_user_timeout',
  'uselibpqcompat',
])

const KNOWN: ReadonlySet<string> = new Set([
  ...WITHOUT_EFFECT,
  ...['host', 'port', 'user', 'password', 'dbname', 'options', 'client_encoding'],
  ...['connect_timeout', 'target_session_attrs', 'load_balance_hosts', 'channel_binding'],
  ...['ssl', 'sslmode', 'sslnegotiation', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword'],
  ...['sslcrl', 'sslsni', 'ssl_min_protocol_version', 'ssl_max_protocol_version'],
  ...['gssencmode'],
])

function readParameters(query: string): Parameters {
  const parameters = new Map<string, string>()
  for (const pair of query.split('&')) {
    if (pair === '' && query === '') continue
    const equals = pair.indexOf('=')
    if (equals < 1) throw new ConnectionUrlError('a URL with a parameter that has no name or value')
    const name = decode(pair.slice(0, equals))
    if (!KNOWN.has(name)) {
      // A name of another form may be the rest of a password with an unencoded `?` or `&`.
      const shown = /^[A-Za-z][A-Za-z_]{1,39}$/.test(name) ? ` ${name}` : ''
      throw new ConnectionUrlError(`a URL with the unknown parameter${shown}`)
    }
    // As in libpq, the last one counts.
    parameters.set(name, decode(pair.slice(equals + 1)))
  }
  return parameters
}

function decode(text: string): string {
  if (/%(?![0-9a-f]{2})|%00/i.test(text)) {
    throw new ConnectionUrlError('a URL with a % that does not begin an escape such as %25')
  }
  try {
    return decodeURIComponent(text)
  } catch {
    throw new ConnectionUrlError('a URL with percent escapes that are not UTF-8')
  }
}

interface GivenHost {
  readonly host: string
  readonly port: string
}

function splitHosts(text: string): GivenHost[] {
  return text.split(',').map((part) => {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/s.exec(part)
    if (match === null) throw new ConnectionUrlError('a URL whose host cannot be read')
    const [, bracketed, plain, port = ''] = match
    return { host: decode(bracketed ?? plain ?? ''), port: decode(port) }
  })
}

/** The parameters `host` and `port` replace what stands before the path. */
function mergeHosts(given: readonly GivenHost[], parameters: Parameters): [Address, ...Address[]] {
  const hosts = parameters.get('host')?.split(',') ?? given.map(({ host }) => host)
  const ports = parameters.get('port')?.split(',') ?? given.map(({ port }) => port)
  if (ports.length !== 1 && ports.length !== hosts.length) {
    throw new ConnectionUrlError(`a URL with ${hosts.length} hosts and ${ports.length} ports`)
  }
  const addresses = hosts.map((host, index) => {
    const port = ports[ports.length === 1 ? 0 : index] || '5432'
    if (!/^[0-9]{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
      throw new ConnectionUrlError('a URL with a port that is not a number from 1 to 65535')
    }
    return { host: host || 'localhost', port: Number(port) }
  })
  return addresses as [Address, ...Address[]]
}

function readTls(parameters: Parameters): TlsSettings {
  const ssl = oneOf(parameters, 'ssl', ['true', 'false', '1', '0'])
  const given = oneOf(parameters, 'sslmode', SSL_MODES)
  const rootCertificate = parameters.get('sslrootcert') || undefined
  const isSystem = rootCertificate === 'system'
  const mode =
    given ??
    (isSystem
      ? 'verify-full'
      : ssl === undefined
        ? 'prefer'
        : ssl === 'true' || ssl === '1'
          ? 'require'
          : 'disable')
  if (isSystem && mode !== 'verify-full') {
    throw new ConnectionUrlError(`sslrootcert=system with sslmode=${mode} instead of verify-full`)
  }
  const negotiation = oneOf(parameters, 'sslnegotiation', ['postgres', 'direct']) ?? 'postgres'
  if (negotiation === 'direct' && !isTlsCertain(mode)) {
    throw new ConnectionUrlError(`sslnegotiation=direct with sslmode=${mode}`)
  }
  const certificate = parameters.get('sslcert') || undefined
  const key = parameters.get('sslkey') || undefined
  if ((certificate === undefined) !== (key === undefined)) {
    throw new ConnectionUrlError('only one of sslcert and sslkey')
  }
  return {
    mode,
    negotiation,
    rootCertificate,
    certificate,
    key,
    keyPassword: parameters.get('sslpassword') || undefined,
    revocationList: parameters.get('sslcrl') || undefined,
    minVersion: oneOf(parameters, 'ssl_min_protocol_version', TLS_VERSIONS),
    maxVersion: oneOf(parameters, 'ssl_max_protocol_version', TLS_VERSIONS),
    sendsServerName: oneOf(parameters, 'sslsni', ['0', '1']) !== '0',
  }
}

function readOptions(parameters: Parameters): Readonly<Record<string, string>> {
  const options = parseOptions(parameters.get('options') ?? '')
  if (options === undefined) {
    throw new ConnectionUrlError('options other than -c NAME=VALUE and --NAME=VALUE')
  }
  return options
}

function readConnectTimeout(parameters: Parameters): number | undefined {
  const given = parameters.get('connect_timeout') || '0'
  if (!/^-?[0-9]{1,6}$/.test(given)) {
    throw new ConnectionUrlError('a connect_timeout that is not a number of seconds')
  }
  return Number(given) > 0 ? Number(given) * 1000 : undefined
}

/** Parameters that are right only where they ask for what the service does anyway. */
function checkTheRest(parameters: Parameters): void {
  oneOf(parameters, 'gssencmode', ['disable', 'prefer'])
  const encoding = parameters.get('client_encoding')
  if (encoding !== undefined && !/^(auto|utf-?8|unicode)$/i.test(encoding)) {
    throw new ConnectionUrlError('a client_encoding other than UTF8')
  }
}

function oneOf<T extends string>(
  parameters: Parameters,
  name: string,
  choices: readonly T[],
): T | undefined {
  const given = parameters.get(name)
  if (given === undefined || given === '') return undefined
  const choice = choices.find((candidate) => candidate === given)
  if (choice === undefined) {
    throw new ConnectionUrlError(`an unknown ${name}; expected one of ${choices.join(', ')}`)
  }
  return choice
}
