// The page at /docs in a real browser.
import { test } from 'tap'
import { createTestApp } from '../support/app.ts'
import { needsBrowser, openPage, startBrowser } from './browser.ts'

test('the viewer shows the API, and asks only this service', needsBrowser, async (t) => {
  const url = await createTestApp(t).listen({ host: '127.0.0.1', port: 0 })
  const { page, complaints } = await openPage(await startBrowser(t), 'about:blank', {
    colorScheme: 'dark',
  })
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))

  await page.goto(`${url}/docs`)
  await page.locator('#operations-Reset-postReset').click()
  await page.getByText('token_missing').first().waitFor()
  await page.locator('#operations-Probes-getLivez').click()
  await page.locator('#operations-Probes-getLivez').getByText('Try it out').click()
  const answered = page.waitForResponse(`${url}/livez`)
  await page.getByText('Execute', { exact: true }).click()

  t.equal((await answered).status(), 200)
  t.ok(asked.length >= 5)
  t.strictSame(
    asked.filter((one) => !one.startsWith(`${url}/`) && !one.startsWith('data:')),
    [],
  )
  t.strictSame(complaints, [])
  t.match(await page.locator('html').getAttribute('class'), /dark-mode/)
})
