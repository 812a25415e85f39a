import { test } from 'tap'
import { createTestDatabase } from './postgres.ts'
import { waitUntilBlocked, withTransaction } from './sessions.ts'

test('sessions that wait for each other', async (t) => {
  const { pool } = await createTestDatabase(t, { from: 'empty' })
  await pool.query('create table account (id int primary key, balance int)')
  await pool.query('insert into account values (1, 0), (2, 0)')
  const add = 'update account set balance = balance + 1 where id = $1'

  t.test('one waits for the row that the other has changed, until it commits', async (t) => {
    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (second) => {
        await first.query(add, [1])
        const added = second.query(add, [1])
        await second.waitsFor(first)
        await waitUntilBlocked(pool, 'set balance')
        await first.query('commit')
        t.equal((await added).rowCount, 1)
      })
    })
  })

  t.test('a statement that ends without waiting is an error at once', async (t) => {
    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (second) => {
        await first.query(add, [1])
        const added = second.query(add, [2])
        await t.rejects(second.waitsFor(first), {
          message: new RegExp(
            `^expected session ${second.pid} to wait for session ${first.pid}, but no statement of it is running\n` +
              `(.*\n)*  ${second.pid} idle in transaction: update account`,
          ),
        })
        await added
      })
    })
  })

  t.test('who waits for another session is named, with the lock and its table', async (t) => {
    await withTransaction(pool, async (first) => {
      await withTransaction(pool, async (second) => {
        await withTransaction(pool, async (third) => {
          await first.query(add, [1])
          const added = second.query(add, [1])
          await second.waitsFor(first)
          const locked = third.query('lock table account')
          await third.waitsFor(first)
          // It may be canceled before the answer to the cancel is here.
          const isCanceled = t.rejects(locked, { code: '57014' })
          await first.query('select pg_cancel_backend($1)', [third.pid])
          await isCanceled

          await t.rejects(third.waitsFor(first), {
            message: new RegExp(
              `  ${second.pid} active and waits for ${first.pid} \\(ShareLock transactionid on account\\): update account`,
            ),
          })
          await first.query('rollback')
          await added
        })
      })
    })
  })
})
