import type { Socket } from 'node:net'
import pg from 'pg'
import { ConnectionError } from '../errors.ts'

/** How long a goodbye may take before the connection is closed without one. */
const GOODBYE_MS = 300

export interface LoginOptions {
  readonly socket: Socket
  readonly isEncrypted: boolean
  readonly user: string
  readonly password: string
  readonly database: string
  readonly applicationName: string
  readonly channelBinding: 'disable' | 'prefer' | 'require'
  /** Longest that a query may take; 0 for no limit. */
  readonly queryTimeoutMs: number
}

/**
 * A client on a connection that is already open. Unlike pg's own it can be closed although the server
 * does not answer any more, and never ends the process because nothing listens to its errors.
 */
export class SessionClient extends pg.Client {
  readonly #socket: Socket

  constructor(options: LoginOptions) {
    const { socket, isEncrypted, channelBinding } = options
    // pg connects its stream itself; this one only has to say that it is connected.
    socket.connect = () => {
      // Reading begins now: it was paused after the server's answer about TLS.
      process.nextTick(() => socket.resume().emit('connect'))
      return socket
    }
    super({
      stream: () => socket,
      // Nothing is left empty, because for empty values pg reads PGUSER, PGOPTIONS, ~/.pgpass and the like.
      user: options.user,
      password: async () => options.password,
      database: options.database,
      host: 'localhost',
      port: 5432,
      ssl: false,
      // A blank is not empty, and is not sent: see getStartupConf.
      options: ' ',
      application_name: options.applicationName,
      client_encoding: 'UTF8',
      enableChannelBinding: isEncrypted && channelBinding !== 'disable',
      ...(options.queryTimeoutMs > 0 && { query_timeout: options.queryTimeoutMs }),
      ...{ sslnegotiation: 'postgres' },
    })
    this.#socket = socket
    this.on('error', () => {})
    this.#guardReading()
    const query = this.query.bind(this) as (...args: unknown[]) => unknown
    this.query = ((...args: unknown[]) => this.#watch(query(...args))) as typeof this.query
    if (channelBinding === 'require') this.#requireChannelBinding()
  }

  /** The backend that serves this session, also behind a pooler; undefined before it was asked. */
  backendPid: number | undefined

  #waiting = 0
  #waitingSince: number | undefined

  /** How long the query that was sent has been waiting for its answer; 0 if none is. */
  get waitingMs(): number {
    return this.#waitingSince === undefined ? 0 : performance.now() - this.#waitingSince
  }

  /** Notes when a query begins to wait: the next one is sent when the one before it is answered. */
  #watch(result: unknown): unknown {
    if (!(result instanceof Promise)) return result
    this.#waiting += 1
    this.#waitingSince ??= performance.now()
    const done = () => {
      this.#waiting -= 1
      this.#waitingSince = this.#waiting > 0 ? performance.now() : undefined
    }
    result.then(done, done)
    return result
  }

  /** Never sends `options`: a pooler rejects them, so they are set after the login. */
  getStartupConf(): Record<string, string> {
    const inherited = (
      pg.Client.prototype as unknown as { getStartupConf(): Record<string, string> }
    ).getStartupConf.call(this)
    const { options: _, ...rest } = inherited
    return rest
  }

  /** As the server announced it; behind a pooler it is the pooler's. */
  get announcedPid(): number | null {
    return (this as unknown as { processID: number | null }).processID
  }

  /** Closes the connection at once: whatever waits for an answer fails. */
  destroy(reason: string): void {
    this.#socket.destroy(new ConnectionError('ENOANSWER', reason))
  }

  override end(): Promise<void>
  override end(callback: (error: Error) => void): void
  override end(callback?: (error: Error) => void): Promise<void> | undefined {
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_MS)
    const ended = super.end().finally(() => clearTimeout(timer))
    if (callback === undefined) return ended
    ended.then(() => (callback as () => void)(), callback)
    return undefined
  }

  /** pg reads in a listener, where an error would end the process: a value can be too long for a string. */
  #guardReading(): void {
    type Readable = Pick<Socket, 'on'>
    const { connection } = this as unknown as {
      connection: { attachListeners(stream: Readable): void }
    }
    const attach = connection.attachListeners.bind(connection)
    connection.attachListeners = (stream) => {
      const on = (event: string, listener: (...args: unknown[]) => void) =>
        stream.on(event, (...args) => {
          try {
            listener(...args)
          } catch (error) {
            this.#socket.destroy(error as Error)
          }
        })
      attach({ on } as Readable)
    }
  }

  /** Rejects any login that does not bind the password exchange to the TLS connection. */
  #requireChannelBinding(): void {
    const { connection } = this as unknown as { connection: NodeJS.EventEmitter }
    let isBound = false
    const assertBound = () => {
      if (!isBound) this.#socket.destroy(new Error('the server offers no channel binding'))
    }
    connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: string[] }) => {
      isBound = mechanisms.includes('SCRAM-SHA-256-PLUS')
      assertBound()
    })
    for (const event of [
      'authenticationCleartextPassword',
      'authenticationMD5Password',
      'authenticationOk',
    ]) {
      connection.on(event, assertBound)
    }
  }
}
