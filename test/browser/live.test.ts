// What an open page does by itself, in a real browser.
import { test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { DRIFTED, STATE_PAGES } from '../support/page.ts'
import { needsBrowser, openPage, serve, startBrowser } from './browser.ts'

test(
  'an open page takes over what changes, and leaves focus and open parts as they are',
  needsBrowser,
  async (t) => {
    const service = await serve(t, STATE_PAGES.migrating)
    const { page, complaints } = await openPage(await startBrowser(t), service.url)
    const tables = page.getByText('9 tables in words')
    await tables.click()
    await page.evaluate("window.region = document.querySelector('[role=status]')")

    service.show(STATE_PAGES.ready)

    await page.getByRole('heading', { level: 1, name: 'Ready' }).waitFor()
    t.match(await page.title(), /^Ready · shop$/)
    t.match(await page.locator('#icon').getAttribute('href'), '1a7f4e')
    t.ok(await page.getByRole('cell', { name: 'street text, nullable' }).isVisible(), 'still open')
    t.equal(await page.evaluate('document.activeElement.textContent'), '9 tables in words')
    t.ok(
      await page.evaluate('window.region.isConnected'),
      'the live region is the one that was there',
    )
    t.equal(await page.getByText('What to do').count(), 0)

    service.show(DRIFTED)
    await page.getByRole('heading', { name: 'The schema has drifted' }).waitFor()
    t.ok(await page.getByRole('rowheader', { name: 'shop.customer.phone' }).isVisible())
    t.strictSame(complaints, [])
  },
)

test('a page that loses the service says so, and recovers', needsBrowser, async (t) => {
  const service = await serve(t)
  const { page } = await openPage(await startBrowser(t), service.url)

  await service.close()
  await page.getByRole('alert').getByText('has not answered since').waitFor()
  t.match(await page.title(), /^No answer · Ready/)
  t.ok(
    await page.getByRole('heading', { level: 1, name: 'Ready' }).isVisible(),
    'what was last known stays',
  )

  await serve(t, STATE_PAGES.stopping, Number(new URL(service.url).port))
  await page.getByRole('heading', { level: 1, name: 'Stopping' }).waitFor()
  t.equal(await page.getByRole('alert').textContent(), '')
  t.match(await page.title(), /^Stopping/)
})

test('a page that nobody sees asks for nothing', needsBrowser, async (t) => {
  const service = await serve(t)
  const { page } = await openPage(await startBrowser(t), 'about:blank')
  await page.clock.install()
  await page.goto(service.url)
  const hide = (isHidden: boolean) =>
    page.evaluate(
      `Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true });
       document.dispatchEvent(new Event('visibilitychange'))`,
    )

  await page.clock.runFor(5000)
  await becomes(t, async () => service.requests(), 2)
  await hide(true)
  await page.clock.runFor(600_000)
  t.equal(service.requests(), 2)
  await hide(false)
  await becomes(t, async () => service.requests(), 3)
})

test(
  'without scripts the page is whole, and says how to load it again',
  needsBrowser,
  async (t) => {
    const service = await serve(t, STATE_PAGES.migration_failed)
    const { page } = await openPage(await startBrowser(t), service.url, {
      javaScriptEnabled: false,
    })
    t.ok(await page.getByRole('heading', { level: 1, name: 'Migration failed' }).isVisible())
    await page.getByText('9 tables in words').click()
    t.ok(await page.getByRole('cell', { name: 'street text, nullable' }).isVisible())

    service.show(STATE_PAGES.ready)
    await page.getByRole('link', { name: 'Load again' }).click()
    await page.getByRole('heading', { level: 1, name: 'Ready' }).waitFor()
  },
)

test(
  'a page of an older service loads itself again once a newer one answers',
  needsBrowser,
  async (t) => {
    const service = await serve(t)
    const { page } = await openPage(await startBrowser(t), service.url)
    await page.evaluate("document.documentElement.dataset.build = 'older'; window.isOld = true")

    service.show(STATE_PAGES.rebuilding)

    await page.getByRole('heading', { level: 1, name: 'Rebuilding' }).waitFor()
    t.equal(await page.evaluate('window.isOld'), undefined)
  },
)
