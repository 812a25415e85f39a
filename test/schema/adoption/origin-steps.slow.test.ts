import fc from 'fast-check'
import { test } from 'tap'
import { describeSchemas } from '../../support/catalog.ts'
import { runMigrations } from '../../support/migrations.ts'
import { type Addition, allAdditions, createOrigin, fillOrigin } from '../../support/origins.ts'
import { createTestDatabase } from '../../support/postgres.ts'

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)

test(`any of the later additions, in any order (SEED=${seed})`, async (t) => {
  const fresh = await createTestDatabase(t, { from: 'migrated' })
  const expected = await describeSchemas(fresh.pool, ['commandbus', 'e2e'])

  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray([...allAdditions]), async (additions) => {
      const found = await adopt(additions)
      t.same(found, expected, additions.join(', ') || 'none')
    }),
    { seed, numRuns: 12, examples: [[[...allAdditions]], [[...allAdditions].reverse()]] },
  )

  async function adopt(additions: readonly Addition[]): Promise<string[]> {
    const teardowns: (() => Promise<void>)[] = []
    const owner = { teardown: (work: () => Promise<void>) => teardowns.push(work) }
    const { url, pool } = await createTestDatabase(owner, { from: 'empty' })
    try {
      await createOrigin(pool, additions)
      await fillOrigin(pool, additions)
      await runMigrations(url)
      return await describeSchemas(pool, ['commandbus', 'e2e'])
    } finally {
      for (const work of teardowns) await work()
    }
  }
})
