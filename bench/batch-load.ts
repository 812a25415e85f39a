import { randomUUID } from 'node:crypto'
import pg from 'pg'
import {
  type CommandKey,
  finishCommand,
  insertBatch,
  insertCommands,
  receiveCommand,
} from '../client/client.ts'
import { prepared } from '../test/support/prepared.ts'

/** How the commands are spread over batches. */
export type Layout = 'no batch' | '200 batches' | 'one batch'

const batchCounts: Readonly<Record<Layout, number>> = {
  'no batch': 0,
  '200 batches': 200,
  'one batch': 1,
}

export interface Load {
  readonly layout: Layout
  readonly commands: number
  readonly connections: number
}

/**
 * Has so many workers receive and finish each command, in two transactions as a worker does, and
 * gives the commands a second. Every load begins with empty tables.
 */
export async function measure(url: string, load: Load): Promise<number> {
  const pool = new pg.Pool({ connectionString: url, max: load.connections })
  // Connections that are still being closed when their database is dropped are no failure.
  pool.on('error', () => {})
  try {
    const keys = await prepareCommands(pool, load)
    const clients = await Promise.all(
      Array.from({ length: load.connections }, () => pool.connect()),
    )
    // Each command is taken once; neighbours are of different batches, so that batches run together.
    let taken = 0
    const startedAtMs = performance.now()
    const completions = await Promise.all(
      clients.map(async (client) => {
        const db = prepared(client)
        let completions = 0
        for (let key = keys[taken++]; key !== undefined; key = keys[taken++]) {
          await receiveCommand(db, key)
          const isBatchComplete = await finishCommand(db, {
            ...key,
            status: 'COMPLETED',
            eventType: 'COMPLETED',
          })
          if (isBatchComplete) completions++
        }
        client.release()
        return completions
      }),
    )
    const seconds = (performance.now() - startedAtMs) / 1000
    const completed = completions.reduce((sum, count) => sum + count, 0)
    if (completed !== batchCounts[load.layout]) throw new Error(`${completed} batches completed`)
    return load.commands / seconds
  } finally {
    await pool.end()
  }
}

async function prepareCommands(pool: pg.Pool, load: Load): Promise<CommandKey[]> {
  const domain = 'bench'
  const batchCount = batchCounts[load.layout]
  await pool.query('truncate commandbus.batch, commandbus.command, commandbus.audit cascade')
  const batchIds = Array.from({ length: batchCount }, () => randomUUID())
  for (const batchId of batchIds) {
    await insertBatch(pool, { domain, batchId, totalCount: load.commands / batchCount })
  }
  const commands = Array.from({ length: load.commands }, (_, number) => ({
    domain,
    commandId: randomUUID(),
    queueName: 'bench__commands',
    commandType: 'Bench',
    maxAttempts: 3,
    batchId: batchIds[number % batchCount] ?? null,
  }))
  await insertCommands(pool, commands)
  // Statistics and a written-out state are not what is measured.
  await pool.query('vacuum (analyze) commandbus.command')
  await pool.query('checkpoint')
  return commands
}
