import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

/** The content's own schemas, functions and tables, as the migrations name them. */
const NAMES =
  /\bcommandbus\.|\be2e|\bsp_[a-z]|\bcommand_bus|\bpayload_archive\b|\btest_command\b|\bTROUBLESHOOTING|__commands\b/i

test('the service knows no name of the command bus, but for one setting', async (t) => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  const sources = files.filter((name) => name.endsWith('.ts'))
  t.ok(sources.length > 20)

  const knowing = sources.filter((name) => NAMES.test(readFileSync(join('src', name), 'utf8')))

  t.strictSame(knowing, ['config.ts'])
})

test('only the settings read the environment', async (t) => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  const reading = files.filter(
    (name) =>
      name.endsWith('.ts') && /process\.env\b/.test(readFileSync(join('src', name), 'utf8')),
  )

  t.strictSame(reading, ['config.ts'])
})
