// The page of a whole service, on a database in which another session is in the way.
import pg from 'pg'
import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startService } from '../support/service.ts'
import { needsBrowser, openPage, startBrowser } from './browser.ts'

test(
  'a page that is open from the start shows the wait, its blocker, and then the result',
  needsBrowser,
  async (t) => {
    const { url, pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query('create schema app; create table app.busy (id int primary key)')
    const blocker = new pg.Client({ connectionString: url, application_name: 'nightly-report' })
    await blocker.connect()
    t.teardown(() => blocker.end())
    await blocker.query("begin; select 'not-to-be-shown' from app.busy")
    const { rows } = await blocker.query('select pg_backend_pid() as pid')
    const folder = createMigrationsFolder(t, ['alter table app.busy add column busy_since date;'])
    const service = startService(t, { DATABASE_URL: url, MIGRATIONS_DIR: folder })
    const { msg } = await service.waitForLog('listening at ')

    const address = msg.slice('listening at '.length)
    const { page, complaints } = await openPage(await startBrowser(t), address)

    await page.getByRole('heading', { level: 1, name: 'Migrating' }).waitFor()
    const row = page.getByRole('row', { name: `pid ${rows[0].pid} nightly-report` })
    await row.waitFor()
    t.ok(await page.getByText('0 of 1 applied').isVisible())
    t.ok(await page.getByText('Being applied', { exact: true }).isVisible())
    t.notMatch(await page.content(), 'not-to-be-shown')

    await blocker.query('rollback')
    await page.getByRole('heading', { level: 1, name: 'Ready' }).waitFor()
    await page.locator('.diagram').getByText('busy_since').waitFor()
    t.equal(await page.getByRole('table').count(), 0, 'no blockers any more')
    t.strictSame(complaints, [])
    t.match(await service.stop(), { code: 0 })
  },
)

test(
  'a database of very many tables: the page shows numbers, also without scripts',
  needsBrowser,
  async (t) => {
    const { url, pool } = await createTestDatabase(t, { from: 'empty' })
    await pool.query(`
    create schema app;
    do $$ begin
      for number in 1..1500 loop execute format('create table app.t%s (id int primary key)', number); end loop;
    end $$`)
    const service = startService(t, {
      DATABASE_URL: url,
      MIGRATIONS_DIR: createMigrationsFolder(t, ['create table app.last (id int);']),
    })
    await service.waitForReady()
    const { msg } = await service.waitForLog('listening at ')
    const browser = await startBrowser(t)
    const { page } = await openPage(browser, msg.slice('listening at '.length), {
      javaScriptEnabled: false,
    })
    await page.getByText('1 schema · 1,501 tables').waitFor()
    const largest = page.getByRole('table', { name: 'The largest tables' })
    t.equal(await largest.getByRole('row').count(), 21)
    t.equal(await page.locator('.diagram').count(), 0)
    t.ok((await page.content()).length < 100_000, 'the document stays small')
    t.match(await service.stop(), { code: 0 })
  },
)
