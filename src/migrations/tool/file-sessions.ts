import { isTooManyConnections } from '../../postgres/errors.ts'
import type { Ahead } from './ahead.ts'
import type { Connection } from './connection.ts'
import { hasCodeThatLeavesUnseen, type SessionState } from './leftovers.ts'
import type { Session } from './session.ts'

export interface FileSessionsOptions {
  readonly url: string
  /** Opens the first one, on this connection if it can be used. */
  readonly openFirst: (ahead: Ahead<Connection> | undefined) => Promise<Session>
  /** Opens another one, which shares the tool's lock. */
  readonly openNext: () => Promise<Session>
  /** Begins to open such a one for the next file. */
  readonly openAhead: () => Ahead<Session>
}

/** Which file it is about. */
interface FileOptions {
  /** Nothing runs after it. */
  readonly isLast: boolean
}

/** Opens the session of the first file, on a connection that may be there already. */
export async function openFileSessions(
  options: FileSessionsOptions,
  ahead: Ahead<Connection> | undefined,
): Promise<FileSessions> {
  return new FileSessions(options, await options.openFirst(ahead))
}

/**
 * Gives each file a session as a new connection has it: the one before, if that is as it began, or else
 * another one. The tool's lock goes with it.
 */
export class FileSessions {
  readonly #options: FileSessionsOptions
  #current: Session
  /** The next file needs another session. */
  #isUsed = false
  #hasUnseenCode: Promise<boolean> | undefined
  #mayCallUnseen = false
  /** For the next file, if it needs another session: a login takes longer than many files. */
  #ahead: Ahead<Session> | undefined
  /** Sessions begin with the same settings as before the file. */
  #isAsBefore = true
  /** Of the sessions before this one. */
  #ending: Promise<unknown> = Promise.resolve()

  constructor(options: FileSessionsOptions, first: Session) {
    this.#options = options
    this.#current = first
  }

  get current(): Session {
    return this.#current
  }

  /** Begins to look for code that a file may call, where several files follow. */
  inspectCode(): Promise<boolean> {
    this.#hasUnseenCode ??= hasCodeThatLeavesUnseen(this.#current.client)
    // Reported where it is waited for.
    this.#hasUnseenCode.catch(() => {})
    return this.#hasUnseenCode
  }

  /** Prepares the session for a file, outside its transaction, whose first statement must be the file's. */
  async prepare({ isLast }: FileOptions): Promise<void> {
    if (this.#isUsed) await this.#renew()
    if (isLast) return
    this.#mayCallUnseen = await this.inspectCode()
  }

  /** Takes note of what the file may leave behind unseen, before it runs. */
  noteFile(
    { mayLeaveUnseen }: { readonly mayLeaveUnseen: boolean },
    { isLast }: FileOptions,
  ): void {
    if (this.#mayCallUnseen || mayLeaveUnseen) {
      this.#isUsed = true
      this.#hasUnseenCode = undefined
    }
    if (this.#isUsed && !isLast) this.#ahead ??= this.#options.openAhead()
  }

  /** Takes note of what the file has left behind: the state of the session when it was put back. */
  noteState(state: SessionState): void {
    this.#isAsBefore = state.defaults === this.#current.initial.defaults && !state.has_login_trigger
    this.#isUsed ||= !this.#isAsBefore || !state.holds_tool_lock || state.other_locks > 0
  }

  /** Ends all of them. */
  async end(): Promise<void> {
    this.#ahead?.close()
    await Promise.all([this.#ending, this.#current.end()])
  }

  /** Replaces the session. The next one shares the tool's lock before the old one ends. */
  async #renew(): Promise<void> {
    await this.#ending
    const old = this.#current
    this.#current = await this.#openNext(old)
    // Not awaited here: the next file need not wait for it.
    this.#ending = old.end()
    // In the tool's own words, by which the service recognizes it.
    if (!this.#current.initial.holds_tool_lock) throw new Error('Failed to get exclusive lock')
    this.#isUsed = false
  }

  async #openNext(old: Session): Promise<Session> {
    const ahead = this.#ahead
    this.#ahead = undefined
    const { url, openNext } = this.#options
    // It has logged in, and so got its settings, before the file changed them.
    if (!this.#isAsBefore) ahead?.close()
    else {
      const next = await ahead?.take(url)
      if (next !== undefined) return next
    }
    return openNext().catch(async (error) => {
      if (!isTooManyConnections(error)) throw error
      // Where connections are few, the place of the session before it is needed.
      await old.end()
      return openNext()
    })
  }
}
