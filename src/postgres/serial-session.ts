import type { Client } from 'pg'

/** A session for work that takes several statements: one work after another, each with the session to itself. */
export interface SerialSession {
  /** Runs the work behind all earlier work. Opens the session first, if there is none or it was lost. */
  run<T>(work: (client: Client) => Promise<T>): Promise<T>
  /** Waits for the work that has begun, and ends the session. */
  close(): Promise<void>
}

export interface SerialSessionOptions {
  readonly open: () => Promise<Client>
  /** Prepares each session that is opened. */
  readonly onOpen?: (client: Client) => Promise<void>
}

/** Creates a session that is opened when it is first needed, and again after it was lost. */
export function createSerialSession({ open, onOpen }: SerialSessionOptions): SerialSession {
  let current: Client | undefined
  let last: Promise<unknown> = Promise.resolve()
  let isClosed = false

  async function ensureOpen(): Promise<Client> {
    if (isClosed) throw new Error('the session is closed')
    if (current !== undefined) return current
    const client = await open()
    const forget = () => {
      if (current === client) current = undefined
    }
    client.on('error', forget)
    client.on('end', forget)
    try {
      await onOpen?.(client)
    } catch (error) {
      void client.end().catch(() => {})
      throw error
    }
    current = client
    return client
  }

  return {
    run(work) {
      const result = last.then(async () => work(await ensureOpen()))
      last = result.catch(() => {})
      return result
    },
    async close() {
      isClosed = true
      await last
      await current?.end().catch(() => {})
    },
  }
}
