// What npm run db:schema writes is what the committed migrations make.
import type { Pool } from 'pg'
import { test } from 'tap'
import { dumpSchema } from '../../scripts/schema/dump.ts'
import { generateSchema } from '../../scripts/schema/generate.ts'
import { readObjects } from '../../scripts/schema/objects.ts'
import { visitStatements } from '../../src/migrations/tool/statements.ts'
import { generated, listDifferences, readGenerated } from '../support/generated.ts'
import { createTestDatabase } from '../support/postgres.ts'

test('schema/, docs/schema/ and client/schema/ are what the migrations make', async (t) => {
  const { url } = await createTestDatabase(t, { from: 'migrated' })

  const files = await generateSchema(url)

  t.ok(files.size > 50)
  for (const path of listDifferences(files)) {
    t.equal(readGenerated(path), files.get(path), `${path}: run npm run db:schema`)
  }
})

test('schema/ makes the same schema in an empty database', async (t) => {
  const { pool, open } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create extension pgmq')
  const paths = generated.filter((path) => path.startsWith('schema/'))

  t.strictSame(await loadInAnyOrder(pool, paths.map(readGenerated).flatMap(split)), [])

  const session = await open('test')
  t.teardown(() => session.end())
  const again = dumpSchema(await readObjects(session))
  t.strictSame(
    [...again.entries()].sort(),
    paths.map((path) => [path, readGenerated(path)]),
  )
})

function split(script: string): string[] {
  const statements: string[] = []
  visitStatements(script, ({ start, end }) => {
    statements.push(script.slice(start, end))
    return false
  })
  return statements
}

/** Runs statements until no other one can be run; returns the error of each that is left. */
async function loadInAnyOrder(pool: Pool, statements: readonly string[]): Promise<string[]> {
  const errors: string[] = []
  const failed: string[] = []
  for (const statement of statements) {
    await pool.query(statement).catch((error: Error) => {
      failed.push(statement)
      errors.push(`${error.message}: ${statement}`)
    })
  }
  const isStuck = failed.length === 0 || failed.length === statements.length
  return isStuck ? errors : loadInAnyOrder(pool, failed)
}
