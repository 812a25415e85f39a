import { openClient } from '../../src/postgres/client.ts'
import { isConnectionLost } from '../../src/postgres/errors.ts'
import { type ApplyOptions, applyCurrent, listPlaceholders, NotNowError } from './apply.ts'
import type { Applied } from './loop.ts'
import { prepareCurrent } from './prepare.ts'
import { recordChanges } from './recorded-changes.ts'
import { createRestorer } from './restore.ts'
import { openToolSession } from './tool-session.ts'

export interface RunOptions extends Omit<ApplyOptions, 'url' | 'onNotice'> {
  readonly readUrl: () => string
  readonly note: (text: string) => void
}

/**
 * Creates what one save does: it lists the changed fixtures in `current.sql`, restores those that are not changed
 * any more, applies `current.sql`, and records what changed. It throws a NotNowError if it has to be run again.
 */
export function createRun(options: RunOptions): () => Promise<Applied> {
  const { readUrl, migrationsDir, note } = options
  const restorer = createRestorer({ placeholders: listPlaceholders(options), note })
  const onNotice = (text: string) => note(`notice: ${text}`)
  let lastProblem: string | undefined

  async function run(): Promise<Applied> {
    const prepared = prepareCurrent(migrationsDir)
    const { problem, written } = prepared
    if (problem !== undefined && problem !== lastProblem) {
      note(`could not list the changed fixtures in current.sql, so include them there: ${problem}`)
    }
    lastProblem = problem
    const tool = { ...options, url: readUrl(), onNotice }
    const client = await openClient(tool.url, 'development')
    try {
      const { result, changes } = await recordChanges(client, async () => {
        const session = await openToolSession(tool)
        const failure =
          (await restorer.restore(session, prepared).finally(() => session.end())) ??
          (await applyCurrent(tool))
        return { failure, written, endedAt: Date.now() }
      })
      return { ...result, changes }
    } finally {
      await client.end()
    }
  }

  return async () => {
    try {
      return await run()
    } catch (error) {
      if (!isConnectionLost(error)) throw error
      throw new NotNowError((error as Error).message, { cause: error })
    }
  }
}
