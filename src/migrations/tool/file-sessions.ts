import { isTooManyConnections } from '../../postgres/errors.ts'
import type { AheadConnection } from './connection.ts'
import { hasCodeThatLeavesUnseen, type SessionState } from './leftovers.ts'
import { type Session, TOOL_LOCK_KEY } from './session.ts'
import { openSpareSession, type SpareSession } from './spare-session.ts'

export interface OpenOptions {
  /** A connection that may be there already. */
  readonly ahead?: AheadConnection | undefined
  /** Whether what happens to the session matters. Default: it does. */
  readonly counts?: () => boolean
}

type Open = (options: OpenOptions) => Promise<Session>

/** Which file it is about. */
interface FileOptions {
  /** Nothing runs after it. */
  readonly isLast: boolean
}

/** Opens the session of the first file. */
export async function openFileSessions(
  open: Open,
  ahead: AheadConnection | undefined,
): Promise<FileSessions> {
  return new FileSessions(open, await open({ ahead }))
}

/**
 * Gives each file a session as a new connection has it: the one before, if that is as it began, or else
 * another one. The tool's lock goes with it.
 */
export class FileSessions {
  readonly #open: Open
  #current: Session
  /** The next file needs another session. */
  #isUsed = false
  #hasUnseenCode: boolean | undefined
  /** The next file's, if it needs another one. */
  #spare: SpareSession | undefined
  /** The settings that sessions have begun with since this one; undefined if the file has changed them. */
  #defaults: string | undefined
  /** Of the sessions before this one. */
  #ending: Promise<unknown> = Promise.resolve()

  constructor(open: Open, first: Session) {
    this.#open = open
    this.#current = first
  }

  get current(): Session {
    return this.#current
  }

  /** Prepares the session for a file, outside its transaction, whose first statement must be the file's. */
  async prepare({ isLast }: FileOptions): Promise<void> {
    if (this.#isUsed) await this.#renew()
    if (isLast) return
    this.#hasUnseenCode ??= await hasCodeThatLeavesUnseen(this.#current.client)
  }

  /** Takes note of what the file may leave behind unseen, before it runs. */
  noteFile(
    { mayLeaveUnseen }: { readonly mayLeaveUnseen: boolean },
    { isLast }: FileOptions,
  ): void {
    if (this.#hasUnseenCode || mayLeaveUnseen) {
      this.#isUsed = true
      this.#hasUnseenCode = undefined
    }
    if (this.#isUsed && !isLast) {
      this.#spare ??= openSpareSession((counts) => this.#open({ counts }))
    }
  }

  /** Takes note of what the file has left behind: the state of the session when it was put back. */
  noteState(state: SessionState): void {
    const isAsBefore = state.defaults === this.#current.initial.defaults && !state.has_login_trigger
    // A session takes its settings when it logs in, so one that says it has the new ones may have the old.
    this.#defaults = isAsBefore ? state.defaults : undefined
    this.#isUsed ||= !isAsBefore || !state.holds_tool_lock || state.other_locks > 0
  }

  /** Ends all of them. */
  async end(): Promise<void> {
    await Promise.all([this.#ending, this.#current.end(), this.#spare?.close()])
  }

  /** Replaces the session. One of the two holds the tool's lock, shared while it changes hands. */
  async #renew(): Promise<void> {
    await this.#ending
    const old = this.#current
    await old.client.query(
      `select pg_catalog.pg_try_advisory_lock_shared(${TOOL_LOCK_KEY}),
              pg_catalog.pg_advisory_unlock(${TOOL_LOCK_KEY})`,
    )
    this.#current = (await this.#takeSpare()) ?? (await this.#openNext(old))
    const { client } = this.#current
    await client.query(`select pg_catalog.pg_try_advisory_lock_shared(${TOOL_LOCK_KEY})`)
    await old.client.query('select pg_catalog.pg_advisory_unlock_all()').catch(() => {})
    // Not awaited here: it has no lock any more, and the next file need not wait for it.
    this.#ending = old.end()
    const { rows } = await client.query<{ locked: boolean }>(
      `select pg_catalog.pg_try_advisory_lock(${TOOL_LOCK_KEY}) as locked,
              pg_catalog.pg_advisory_unlock_shared(${TOOL_LOCK_KEY})`,
    )
    // In the tool's own words, by which the service recognizes it.
    if (!rows[0]?.locked) throw new Error('Failed to get exclusive lock')
    this.#isUsed = false
  }

  async #takeSpare(): Promise<Session | undefined> {
    const spare = this.#spare
    this.#spare = undefined
    if (this.#defaults !== undefined) return spare?.take(this.#defaults)
    void spare?.close()
    return undefined
  }

  /** Where connections are few, the place of the session before it is needed. */
  async #openNext(old: Session): Promise<Session> {
    return this.#open({}).catch(async (error) => {
      if (!isTooManyConnections(error)) throw error
      await old.end()
      return this.#open({})
    })
  }
}
