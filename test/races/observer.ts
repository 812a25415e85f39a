import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { getBatch, type Queryable } from '../../client/client.ts'
import { prepared } from '../support/prepared.ts'
import { checkBounds, compare, countsOf } from './check-batch.ts'
import { loadCounts, loadFigures } from './load.ts'
import { maxLag } from './model.ts'
import type { World, WorldBatch } from './world.ts'

/** Checks the batches again and again while sessions work on them, as another client sees them. */
export class Observer {
  readonly problems = new Set<string>()
  checks = 0
  readonly #pool: pg.Pool
  #isWatching = false

  constructor(pool: pg.Pool) {
    this.#pool = pool
  }

  async watch(world: World): Promise<void> {
    this.#isWatching = true
    const client = await this.#pool.connect()
    const db = prepared(client)
    try {
      while (this.#isWatching) {
        // One snapshot of the row, the exact figures and the commands.
        await client.query('begin isolation level repeatable read read only')
        for (const batch of world.batches) await this.#check(db, world, batch)
        await client.query('commit')
        this.checks++
        await sleep(2)
      }
    } finally {
      client.release()
    }
  }

  stop(): void {
    this.#isWatching = false
  }

  async #check(db: Queryable, world: World, batch: WorldBatch): Promise<void> {
    const key = { domain: world.domain, batchId: batch.id }
    const row = await getBatch(db, key)
    if (row === null) return
    for (const problem of checkBounds(row)) this.#add(batch, problem)
    const { byHand, copies, first, late, type } = batch.plan
    if (byHand || copies.length > 0 || type === 'PROCESS') return
    if (first + late > batch.totalCount) return

    const truth = await loadCounts(db, key)
    const lag = row.completedAt === null ? maxLag(batch.totalCount) : 0
    const found = [
      ...compare('its row', countsOf(row), truth, lag),
      ...compare('its exact figures', await loadFigures(db, key), truth, 0),
    ]
    for (const problem of found) this.#add(batch, problem)
  }

  #add(batch: WorldBatch, problem: string): void {
    this.problems.add(`while it ran, a batch of ${batch.totalCount}: ${problem}`)
  }
}
