import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

/** How a code is written where it is given: to a ServiceError, a problem, or a table of them. */
const GIVEN = [
  /\bcode: (?:\w+ \? )?'([a-z]+(?:_[a-z]+)*)'/g,
  /createProblem\(\d+, '([a-z_]+)'/g,
  /\[4\d\d, '([a-z_]+)'\]/g,
  /FST_\w+: '([a-z_]+)'/g,
  /\?\? '([a-z]+_[a-z_]+)'/g,
  /refuse\(\s*dataDir,\s*'([a-z_]+)'/g,
]

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join('src', name), 'utf8'))
const page = readFileSync('docs/error-codes.md', 'utf8')
const listed = [...page.matchAll(/^\| `([a-z_]+)`/gm)].map(([, code]) => code ?? '')

test('every code that the service gives is listed', async (t) => {
  const given = new Set(
    sources.flatMap((text) =>
      GIVEN.flatMap((how) => [...text.matchAll(how)].map(([, code]) => code ?? '')),
    ),
  )

  t.ok(given.size > 30)
  for (const code of given) t.ok(listed.includes(code), code)
})

test('every code that is listed is given somewhere, and listed once', async (t) => {
  for (const code of listed)
    t.ok(
      sources.some((text) => text.includes(`'${code}'`)),
      code,
    )
  t.equal(new Set(listed).size, listed.length)
})
