import { accessSync, constants } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'
import type { PageData } from '../../src/page/data.ts'
import { createReadiness } from '../../src/readiness.ts'
import { createTestApp } from '../support/app.ts'
import { STATE_PAGES } from '../support/page.ts'

const WELL_KNOWN = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/** The browser's program: CHROMIUM_PATH, or where systems install it. */
const executablePath = [process.env.CHROMIUM_PATH, ...WELL_KNOWN].find((path) => {
  try {
    if (path !== undefined) accessSync(path, constants.X_OK)
    return path !== undefined
  } catch {
    return false
  }
})

const why = 'NOT TESTED: no Chromium; install it or set CHROMIUM_PATH'
if (executablePath === undefined) console.error(why)

/** For tap: `t.test(name, needsBrowser, …)` skips, and says so, where no browser is installed. */
export const needsBrowser: { readonly skip: string | false } = {
  skip: executablePath === undefined ? why : false,
}

/** Starts a browser that lives as long as the test. */
export async function startBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({
    ...(executablePath !== undefined && { executablePath }),
    // Chromium has no sandbox for root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  })
  t.teardown(() => browser.close())
  return browser
}

export interface OpenPage {
  readonly page: Page
  /** What the browser complained about: errors of scripts, and what the policy forbids. */
  readonly complaints: string[]
}

/** Opens the address in a window of its own. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', ({ message }) => complaints.push(message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  await page.goto(url)
  return { page, complaints }
}

/** A service that shows what the test wants. */
export interface ShownService {
  readonly url: string
  /** Changes what it shows. */
  show(data: PageData): void
  /** How often the page was requested. */
  requests(): number
  /** Ends it; nothing listens at its address then. */
  close(): Promise<void>
}

/** Serves the page as the service does, at a port or a free one. */
export async function serve(t: Test, first = STATE_PAGES.ready, port = 0): Promise<ShownService> {
  let data = first
  let requests = 0
  const readiness = createReadiness()
  const app = createTestApp(t, {
    readiness: {
      get current() {
        return { ready: false, reason: 'migrating', detail: '', blockers: data.blockers } as const
      },
    } as typeof readiness,
    readStatus: async () => {
      requests++
      return { ...data.status }
    },
    readOverview: async () => data.overview,
  })
  const url = await app.listen({ host: '127.0.0.1', port })
  return {
    url,
    show(next) {
      data = next
    },
    requests: () => requests,
    close: () => app.close(),
  }
}
