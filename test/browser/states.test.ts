// Each state in a real browser: readable for everyone, at every width, in light and dark.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import { type Test, test } from 'tap'
import { createPageData, createStatus, DRIFTED, LARGE, STATE_PAGES } from '../support/page.ts'
import { needsBrowser, openPage, type ShownService, serve, startBrowser } from './browser.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const PAGES = {
  ...STATE_PAGES,
  drift: DRIFTED,
  large: LARGE,
  empty: createPageData(createStatus('ready', null, { applied: 0 }), { schemas: [] }),
}

const LOOKS = [
  { colorScheme: 'light', viewport: { width: 320, height: 640 } },
  { colorScheme: 'dark', viewport: { width: 320, height: 640 } },
  { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
] as const

/** What axe-core finds, in words; rules of best practice included. */
async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  const { violations } = (await page.evaluate(
    "axe.run({ resultTypes: ['violations'] })",
  )) as AxeResults
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target }) => `${id}: ${help}: ${target.join(' ')}`),
  )
}

test('the page in every state, light and dark, narrow and wide', needsBrowser, async (t) => {
  const browser = await startBrowser(t)
  const service = await serve(t)
  for (const look of LOOKS) {
    const name = `${look.colorScheme}, ${look.viewport.width} px`
    const { page, complaints } = await openPage(browser, service.url, look)
    for (const [state, data] of Object.entries(PAGES)) {
      // One large diagram is enough: the states differ in the rest.
      const isLarge = state === 'ready'
      const schemas = data.overview.schemas.slice(isLarge ? 0 : -1)
      service.show({ ...data, overview: { ...data.overview, schemas } })
      await page.goto(service.url)
      await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
      t.strictSame(await findBarriers(page), [], `${state}, ${name}: no barriers`)
      const width = await page.evaluate('document.documentElement.scrollWidth')
      t.equal(width, look.viewport.width, `${state}, ${name}: nothing is wider than the window`)
    }
    t.strictSame(complaints, [], `${name}: the browser has no complaints`)
    await page.context().close()
  }
})

test('a screen reader hears the state, its reason and what to do', needsBrowser, async (t) => {
  const browser = await startBrowser(t)
  const service = await serve(t, STATE_PAGES.migrating)
  const { page } = await openPage(browser, service.url)

  const spoken = await page.locator('main').ariaSnapshot()
  t.match(spoken, /status:[\s\S]*heading "Migrating" \[level=1\][\s\S]*applying 000003-orders.sql/)
  t.match(spoken, /progressbar "Migrations applied 2 of 4 applied|progressbar "Migrations applied"/)
  t.match(spoken, /rowheader "pid 8127"/)
  t.match(spoken, /heading "What to do" \[level=2\]/)
  t.match(
    spoken,
    /img "Diagram of schema shop: 9 tables, 9 foreign keys. The same follows in words."/,
  )
  t.equal(await page.getByRole('region', { name: 'Migrations' }).count(), 1)

  await page.keyboard.press('Tab')
  t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the state')
})

test(
  'on paper the page is light, whole, and without what only a screen can use',
  needsBrowser,
  async (t) => {
    const browser = await startBrowser(t)
    const service = await serve(t)
    const { page } = await openPage(browser, service.url, { colorScheme: 'dark' })

    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })

    t.notOk(await page.getByRole('navigation').isVisible())
    t.ok(
      await page.getByText('Places an order and reserves its products').isVisible(),
      'folded parts are there',
    )
    t.equal(
      await page.evaluate('getComputedStyle(document.body).backgroundColor'),
      'rgb(250, 250, 248)',
    )
  },
)

test('pictures for the documentation', { skip: pictureSkip() }, async (t) => {
  const browser = await startBrowser(t)
  const service = await serve(t)
  mkdirSync('docs/operate/pictures', { recursive: true })
  for (const state of Object.keys(STATE_PAGES) as (keyof typeof STATE_PAGES)[]) {
    await take(t, service, state, `${state}.png`, '#state')
  }
  await take(t, service, 'ready', 'page.png')
  await take(t, service, 'drift', 'drift.png', '#finding-drift, #drift')
  await take(t, service, 'ready', 'narrow.png')

  async function take(
    t: Test,
    shown: ShownService,
    name: keyof typeof PAGES,
    file: string,
    part?: string,
  ) {
    shown.show(PAGES[name])
    const isNarrow = file === 'narrow.png'
    const { page } = await openPage(browser, shown.url, {
      colorScheme: isNarrow ? 'dark' : 'light',
      viewport: isNarrow ? { width: 360, height: 800 } : { width: part ? 820 : 1280, height: 900 },
    })
    const path = `docs/operate/pictures/${file}`
    if (part === undefined) await page.screenshot({ path, fullPage: !isNarrow })
    else await page.locator(part).last().screenshot({ path })
    // Where it is installed, it makes them a third as large.
    spawnSync('pngquant', ['--force', '--skip-if-larger', '--ext', '.png', path])
    await page.context().close()
    t.pass(path)
  }
})

/** Pictures differ with the fonts of a machine, so they are taken on demand. */
function pictureSkip(): string | false {
  if (needsBrowser.skip !== false) return needsBrowser.skip
  return process.env.UPDATE_PICTURES ? false : 'taken with UPDATE_PICTURES=1'
}
