import type { Client } from 'pg'
import {
  forgetPendingSeeds,
  listPendingSeeds,
  planSeeds,
  recordSeed,
  type StoredSeed,
} from '../baseline/seeds.ts'
import type { SchemaDifference } from '../catalog/diff.ts'
import { readSeeds, type Seed } from '../migrations/files/seeds.ts'

/** The seeds of the database that is reset. */
export interface ResetSeeds {
  readonly folder: string | undefined
  /** Runs seeds, and `record` at the end of the transaction of each. */
  readonly run: (
    client: Client,
    seeds: readonly Seed[],
    record: (client: Client, seed: Seed) => Promise<void>,
  ) => Promise<void>
}

export const NO_SEEDS: ResetSeeds = { folder: undefined, run: async () => {} }

/** Plans all seeds for a database that is about to be migrated from the first migration on. */
export async function planAllSeeds(client: Client, { folder }: ResetSeeds): Promise<void> {
  await planSeeds(client, await readSeeds(folder))
}

/** Runs the seeds that are planned and have not run; returns whether there were any. */
export async function runPendingSeeds(client: Client, seeds: ResetSeeds): Promise<boolean> {
  const pending = await listPendingSeeds(client)
  if (pending.length === 0) return false
  const files = await readSeeds(seeds.folder)
  await seeds.run(
    client,
    files.filter(({ filename }) => pending.includes(filename)),
    recordSeed,
  )
  await forgetPendingSeeds(client)
  return true
}

/** Lists the seeds whose files are not those that have run. */
export function compareSeeds(
  applied: readonly StoredSeed[],
  files: readonly StoredSeed[],
): SchemaDifference[] {
  const hashOf = (seeds: readonly StoredSeed[], filename: string) =>
    seeds.find((seed) => seed.filename === filename)?.hash
  const names = [...new Set([...applied, ...files].map(({ filename }) => filename))].sort()
  return names.flatMap((name): SchemaDifference[] => {
    const [before, now] = [hashOf(applied, name), hashOf(files, name)]
    if (before === now) return []
    const change = before === undefined ? 'added' : now === undefined ? 'taken away' : 'changed'
    return [{ change, kind: 'seed', name }]
  })
}
