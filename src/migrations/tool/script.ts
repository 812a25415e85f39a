import type { Writable } from 'node:stream'
import type { Connection, Submittable } from 'pg'

/** A text that is sent while it is read. */
export interface StreamedText {
  /** How long it is in UTF-8. */
  readonly bytes: number
  readonly pieces: AsyncIterable<string>
}

/**
 * A script as a query of the driver's that keeps no result: the driver itself keeps every row, and an
 * object for each of 300,000 statements.
 */
export class Script implements Submittable {
  readonly done: Promise<void>
  readonly #text: string | StreamedText
  #resolve = () => {}
  #reject = (_: unknown) => {}
  #hasFailed = false

  constructor(text: string | StreamedText) {
    this.#text = text
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Awaited only once it was submitted.
    this.done.catch(() => {})
  }

  submit(connection: Connection): void {
    if (typeof this.#text === 'string') {
      connection.query(this.#text)
      return
    }
    const { stream } = connection as unknown as { stream: Writable }
    sendQuery(stream, this.#text).catch((error) => {
      this.#hasFailed = true
      this.#reject(error)
      // PostgreSQL waits for the rest of the message.
      stream.destroy()
    })
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCommandComplete(): void {}
  handleCopyData(): void {}

  /** Cannot happen unless the refusal of such statements has missed one. */
  handleCopyInResponse(connection: Connection & { sendCopyFail(reason: string): void }): void {
    connection.sendCopyFail('a migration has no rows to copy from the client')
  }

  handleError(error: Error): void {
    this.#hasFailed = true
    this.#reject(error)
  }

  handleReadyForQuery(): void {
    if (!this.#hasFailed) this.#resolve()
  }
}

/** Sends a simple query as the driver does, but as fast as the server takes it. */
async function sendQuery(stream: Writable, { bytes, pieces }: StreamedText): Promise<void> {
  const header = Buffer.alloc(5)
  header.write('Q')
  // The length counts itself and the zero byte at the end.
  header.writeInt32BE(4 + bytes + 1, 1)
  stream.write(header)
  let left = bytes
  for await (const piece of pieces) {
    const buffer = Buffer.from(piece)
    left -= buffer.length
    if (left < 0) break
    // The driver reports a lost connection.
    if (stream.destroyed) return
    await new Promise((resolve) => stream.write(buffer, resolve))
  }
  if (left !== 0) throw new Error('the file of the migration was changed while it was run')
  stream.write(Buffer.of(0))
}
