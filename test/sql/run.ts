import { forgetServer, saveServer, type TestServer } from '../support/server.ts'
import { createTapReport, type Summary } from './report.ts'

export interface RunOptions {
  readonly server: TestServer
  readonly importTest: (file: string) => Promise<unknown>
  readonly write: (text: string) => void
}

/** Runs test files in this process, one after the other: a process for each would take longer than its tests. */
export async function runFiles(
  files: readonly string[],
  { server, importTest, write }: RunOptions,
): Promise<Summary> {
  saveServer(server)
  try {
    const { parser, summary } = createTapReport(write)
    const { default: tap } = await import('tap')
    tap.pipe(parser)
    for (const file of files) await importTest(file)
    tap.end()
    return await summary
  } finally {
    forgetServer()
  }
}
