import { existsSync, readFileSync } from 'node:fs'
import { Parser, type Result } from 'tap-parser'

/** What one run of tests has shown. */
export interface Summary {
  readonly passed: number
  readonly failed: number
}

/**
 * Reads TAP, and writes a line for each test that failed, with its assertions. A test here is what stands inside a
 * procedure's: the assertions of one are not counted.
 */
export function createTapReport(write: (text: string) => void): {
  readonly parser: Parser
  readonly summary: Promise<Summary>
} {
  const parser = new Parser()
  let passed = 0
  let failed = 0
  const read = (parser: Parser, path: readonly string[]) => {
    const failures: Result[] = []
    const children = new Set<string>()
    parser.on('assert', (result) => {
      if (path.length === 1) result.ok ? passed++ : failed++
      if (!result.ok) failures.push(result)
    })
    parser.on('child', (child) => {
      children.add(child.name)
      read(child, [...path, child.name])
    })
    parser.on('complete', () => {
      // A failed test is shown where its assertions are.
      const own = failures.filter(({ name }) => !children.has(name))
      if (own.length === 0) return
      write(`✖ ${path.join(' › ')}\n`)
      for (const one of own) write(`${indent(describe(one))}\n`)
    })
  }
  read(parser, [])
  const summary = new Promise<Summary>((resolve) =>
    parser.on('complete', () => resolve({ passed, failed })),
  )
  return { parser, summary }
}

function describe({ name, diag }: Result): string {
  const { stack, at, diff, found, wanted } = diag as Record<string, unknown>
  const { fileName, lineNumber } = (at ?? {}) as { fileName?: string; lineNumber?: number }
  // The assertion may stand in a helper, the place to look at is in the test.
  const place = /test\/schema\/[^():]*\.test\.ts:\d+/.exec(String(stack))?.[0]
  const compared =
    typeof diff === 'string'
      ? diff.replace(/^(?:---|\+\+\+|@@) .*\n/gm, '')
      : 'wanted' in (diag as object)
        ? `expected ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`
        : ''
  // TAP has one line for a message.
  const lines = [name.replaceAll(/ {3}(?=\S)/g, '\n  ')]
  return [...lines, readLine(place ?? `${fileName}:${lineNumber}`), compared.trimEnd()]
    .filter((line) => line !== '')
    .join('\n')
}

/** `test/….test.ts:12: t.equal(…)` */
function readLine(place: string): string {
  const [, path = '', line] = /^(.*):(\d+)$/.exec(place) ?? []
  if (!existsSync(path)) return ''
  const text = readFileSync(path, 'utf8').split('\n')[Number(line) - 1] ?? ''
  return `${place}: ${text.trim()}`
}

const indent = (text: string) => text.replaceAll(/^(?=.)/gm, '  ')
