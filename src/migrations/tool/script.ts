import type { Connection, Submittable } from 'pg'

/**
 * A script as a query of the driver's that keeps no result: the driver itself keeps every row, and an
 * object for each of 300,000 statements.
 */
export class Script implements Submittable {
  readonly done: Promise<void>
  readonly #text: string
  #resolve = () => {}
  #reject = (_: unknown) => {}
  #hasFailed = false

  constructor(text: string) {
    this.#text = text
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Awaited only once it was submitted.
    this.done.catch(() => {})
  }

  submit(connection: Connection): void {
    connection.query(this.#text)
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
