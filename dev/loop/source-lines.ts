import { join } from 'node:path'

/** A line of a file below the migrations folder; lines count from 1. */
export interface SourceLine {
  readonly file: string
  readonly line: number
}

/** What graphile-migrate writes around a file that it includes, and in front of a file of `current/`. */
const INCLUDED = /^--! Included (.*\.sql)$/
const END_INCLUDED = /^--! EndIncluded .*\.sql$/
const SPLIT = /^--! split: (.*\.sql)$/

/**
 * Finds where a line of the text that graphile-migrate runs was written: the text is `current.sql` with every
 * included file in the place of its `--!include`. The tool leaves out what is blank at the beginning of a file;
 * `countSkippedLines` says how many lines that was.
 */
export function findSourceLine(
  text: string,
  line: number,
  countSkippedLines: (file: string) => number,
): SourceLine {
  const enter = (file: string) => ({ file, line: countSkippedLines(file) })
  let stack = [{ file: 'current.sql', line: 0 }]
  for (const content of text.split('\n').slice(0, line)) {
    const [, included] = INCLUDED.exec(content) ?? []
    const [, part] = SPLIT.exec(content) ?? []
    if (included !== undefined) {
      top(stack).line++
      stack.push(enter(join('fixtures', included)))
    } else if (part !== undefined) stack = [enter(join('current', part))]
    else if (END_INCLUDED.test(content)) stack.pop()
    else top(stack).line++
  }
  return top(stack)
}

function top<T>(stack: readonly T[]): T {
  const last = stack.at(-1)
  if (last === undefined) throw new Error('an included file ends that did not begin')
  return last
}
