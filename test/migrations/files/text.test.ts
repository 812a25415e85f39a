import { test } from 'tap'
import { decodeText } from '../../../src/migrations/files/text.ts'

const bytes = (...parts: readonly (string | number)[]): Buffer =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))),
  )

const READABLE: Record<string, Buffer> = {
  'an empty file': bytes(),
  'characters of one to four bytes': bytes("select 'aü€😀';\n"),
  'a replacement character that is there': bytes("select '\ufffd';"),
  'a byte order mark further down': bytes("select '\ufeff';"),
}
for (const [what, file] of Object.entries(READABLE)) {
  test(`${what} is read`, async (t) => {
    t.strictSame(decodeText(file), { text: file.toString('utf8') })
  })
}

const UNREADABLE: Record<string, [Buffer, string]> = {
  'Latin-1': [bytes('a\n', "select 'M", 0xfc, "nchen';"), 'line 2, byte 10 is 0xFC'],
  'a character that is cut off at the end': [bytes('ü\n', 0xe2, 0x82), 'line 2, byte 1 is 0xE2'],
  'a character that is cut off by a line': [bytes('ü', 0xc3, '\na'), 'line 1, byte 3 is 0xC3'],
  'a byte that begins nothing': [bytes('€', 0x80), 'line 1, byte 4 is 0x80'],
  'an overlong encoding': [bytes('ab', 0xc0, 0xaf), 'line 1, byte 3 is 0xC0'],
  'a surrogate': [bytes('a\n\n', 0xed, 0xa0, 0x80), 'line 3, byte 1 is 0xED'],
  'beyond the last character': [bytes(0xf4, 0x90, 0x80, 0x80), 'line 1, byte 1 is 0xF4'],
}
for (const [what, [file, place]] of Object.entries(UNREADABLE)) {
  test(`${what} is not UTF-8, by line and byte`, async (t) => {
    t.strictSame(decodeText(file), { problem: `is not UTF-8: ${place}; save it as UTF-8` })
  })
}

for (const encoding of ['utf16le', 'big-endian'] as const) {
  for (const mark of ['\ufeff', '']) {
    test(`UTF-16, ${encoding}, ${mark ? 'with' : 'without'} a byte order mark`, async (t) => {
      const file = Buffer.from(`${mark}select 'ü'; -- SQL`, 'utf16le')
      if (encoding === 'big-endian') file.swap16()
      t.match(decodeText(file), { problem: 'is UTF-16; save it as UTF-8' })
    })
  }
}

test('a NUL byte is reported by line and byte', async (t) => {
  t.match(decodeText(bytes('select 1;\nselect 2;', 0)), {
    problem: /NUL byte, .*: line 2, byte 10; /,
  })
})
