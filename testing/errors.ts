/** What went wrong, for programs: the service's own codes, and these two. */
export type TestDatabaseErrorCode = 'service_unreachable' | 'options_wrong' | (string & {})

/** An error of borrowing or returning a database; its message says what to do. */
export class TestDatabaseError extends Error {
  override readonly name = 'TestDatabaseError'
  /** Such as `no_database_free`; those of the service are in docs/operate/error-codes.md. */
  readonly code: TestDatabaseErrorCode
  /** The HTTP status of the service's answer; undefined where there was none. */
  readonly status: number | undefined

  constructor(
    code: TestDatabaseErrorCode,
    message: string,
    options: ErrorOptions & { readonly status?: number } = {},
  ) {
    super(message, options)
    this.code = code
    this.status = options.status
  }
}

/** Throws unless all these options are known: one that is misspelt would be ignored. */
export function assertKnownOptions(given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  throw new TestDatabaseError(
    'options_wrong',
    `unknown option ${unknown.join(', ')}: expected only ${known.join(', ')}`,
  )
}
