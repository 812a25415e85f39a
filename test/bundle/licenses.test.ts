import { test } from 'tap'
import { readProjectFile } from '../support/files.ts'

const RULE = /^-{80}$/m

test('the bundle has the license of every package of which it has code', async (t) => {
  const { inputs } = JSON.parse(readProjectFile('dist/bundle.json')) as { inputs: object }
  const packages = new Set(
    Object.keys(inputs).flatMap(
      (path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
    ),
  )
  const texts = readProjectFile('dist/app/third-party-licenses.txt').split(RULE)
  const named = new Set(texts.map((text) => text.trim().split(' ')[0]))

  t.ok(packages.size > 50, `${packages.size} packages`)
  t.strictSame(
    [...packages].filter((name) => !named.has(name)),
    [],
  )
  for (const name of ['fastify', 'graphile-migrate', 'pg', 'pino']) {
    const text = texts.find((one) => one.trim().startsWith(`${name} `)) ?? ''
    t.match(text, /Permission is hereby granted/, name)
  }
})
