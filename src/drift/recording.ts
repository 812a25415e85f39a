import type { Client } from 'pg'
import type { Log } from '../logger.ts'
import type { ProvisionHooks } from '../migrations/provision.ts'
import { describeError, isConnectionLost } from '../postgres/errors.ts'

/**
 * Records the schema around migrations that are applied; does nothing where none is pending. What keeps the
 * schema from being recorded is logged, and never fails a start.
 */
export function createRecordingHooks({ log }: { readonly log: Log }): ProvisionHooks {
  let hasBegun: boolean | undefined
  let wasEmpty = false
  let mayRunBeside = false

  async function attempt(client: Client, work: (client: Client) => Promise<unknown>) {
    let problem: unknown
    try {
      problem = await work(client)
    } catch (error) {
      // Provisioning continues on a new session, where this hook runs again.
      if (isConnectionLost(error)) throw error
      problem = describeError(error)
    }
    if (problem !== undefined) {
      log.warn(
        { reason: problem },
        'the schema is not recorded, so drift from it cannot be reported',
      )
    }
    return problem === undefined
  }

  // What records is imported only where it is needed, because a start with nothing pending has to be fast.
  async function begin(client: Client): Promise<void> {
    const { beginRecording } = await import('../baseline/recorder.ts')
    hasBegun = await attempt(client, beginRecording)
  }

  return {
    async beforeMigrating(_client, { pending: [first] }) {
      // Such a file may lock what the record reads, or make what it makes. One without a body is large.
      mayRunBeside = first?.body !== undefined && !/graphile_migrate|provisioning/i.test(first.body)
    },
    async beforeFirstFile(client) {
      hasBegun = undefined
      const { holdsNothing } = await import('../baseline/holds-nothing.ts')
      // Reading definitions could block on the migration's locks, while the migration waits for the record.
      wasEmpty = await holdsNothing(client).catch((error) => {
        if (isConnectionLost(error)) throw error
        return false
      })
      if (!wasEmpty || !mayRunBeside) await begin(client)
    },
    async beforeFirstCommit(client) {
      if (hasBegun === undefined) await begin(client)
    },
    async whileMigrating(client, { isLast }) {
      if (!hasBegun || !wasEmpty || !isLast) return
      const { prepareFinish } = await import('../baseline/recorder.ts')
      await prepareFinish(client)
    },
    async afterMigrating(client, { appliedNow }) {
      if (appliedNow.length === 0 || !hasBegun) return
      const { finishRecording } = await import('../baseline/recorder.ts')
      await attempt(client, finishRecording)
    },
  }
}
