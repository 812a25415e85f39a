// Which fixtures the loop restores to their committed text.
import { test } from 'tap'
import { createRestorer } from '../../../dev/loop/restore.ts'
import { createTestDatabase } from '../../support/postgres.ts'

test('a fixture is restored when it leaves current.sql, and when an uncommit brings its text back', async (t) => {
  const { pool, open } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create table note (text text)')
  const restorer = createRestorer({ placeholders: {}, open: () => open('test') })
  const run = async (included: readonly string[], committed: Record<string, string>) => {
    await pool.query('truncate note')
    const texts = Object.entries(committed).map(
      ([path, text]) => [path, `insert into public.note values ('${text}')`] as const,
    )
    const prepared = { included: new Set(included), committed: new Map(texts), compiled: '' }
    await restorer.restore(pool, prepared)
    restorer.applied(prepared)
    const { rows } = await pool.query<{ text: string }>('select text from note')
    return rows.map(({ text }) => text)
  }

  t.strictSame(await run([], { a: 'one', b: 'b' }), [], 'nothing was applied yet')
  t.strictSame(await run(['a'], { a: 'one', b: 'b' }), [])
  t.strictSame(await run([], { a: 'one', b: 'b' }), ['one'], 'it left current.sql')

  await run(['a'], { a: 'one', b: 'b' })
  t.strictSame(await run([], { a: 'two', b: 'b' }), ['two'], 'it was committed')
  t.strictSame(await run([], { a: 'one', b: 'b' }), ['one'], 'uncommitted and checked out')

  await run([], { a: 'two', b: 'b' })
  t.strictSame(await run(['a'], { a: 'one', b: 'b' }), [], 'uncommitted: current.sql includes it')
  t.strictSame(await run([], { a: 'one', b: 'b' }), ['one'])
})
