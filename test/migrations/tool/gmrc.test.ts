import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import json5 from 'json5'
import { test } from 'tap'
import { readGmrc } from '../../../src/migrations/tool/gmrc.ts'

const TEXTS = {
  'plain JSON': '{"pgSettings": {"search_path": "a"}}',
  'comments on lines of their own': `// one\n{\n  // "two": 2,\n\t//three\n  "a": "//not one"\n}\n// end`,
  'a comment behind a value': '{\n  "a": 1 // one\n}',
  'a block comment': '/* one\n// two\n*/ {"a": 1}',
  'a comment that ends with a line separator': '// one\u2028{"a": 1}',
  'a string that goes on in the next line': `{"a": "one\\\n// two"}`,
  'names without quotes, single quotes, a trailing comma': `{a: 'b', c: [1, 2,],}`,
  'numbers of JSON5': '{a: +1, b: .5, c: 0x10, d: Infinity}',
  'a name twice': '{"a": 1, "a": 2}',
  'a name of the prototype': '{"__proto__": {"a": 1}}',
  nothing: '',
  null: 'null',
  'a comment only': '// one',
  'an open object': '{"a": 1',
  'a line of slashes in an open string': '{"a": "\n// "}',
}

for (const [name, text] of Object.entries(TEXTS)) {
  test(`.gmrc with ${name} is read as json5 reads it`, async (t) => {
    const folder = t.testdir()
    writeFileSync(join(folder, '.gmrc'), text)
    const outcome = async (read: () => unknown) => {
      try {
        return { content: await read() }
      } catch {
        return 'not readable'
      }
    }

    t.strictSame(
      await outcome(async () => (await readGmrc(folder))?.content),
      await outcome(() => json5.parse(text)),
    )
  })
}
