import { listIncludes } from '../../src/migrations/files/includes.ts'
import { compile, listIncluded, type Texts } from './fixtures.ts'
import { sortByUse } from './sort-by-use.ts'

/** The line of current.sql below which the loop lists fixtures. Everything else in the file is the author's. */
export const LIST_HEADING = '-- Changed fixtures (npm run dev keeps this list)'

/**
 * Returns current.sql with every fixture that differs from what is committed: below the heading, each behind
 * those that it uses, unless the author or another fixture includes it. Where nothing differs, there is no heading.
 */
export function updateIncludeList(current: string, fixtures: Texts, committed: Texts): string {
  const { hasList, before, listed, after } = findList(current)
  const changed = [...fixtures.keys()].filter(
    (path) => compile(fixtures.get(path) ?? '', fixtures, [path]).trim() !== committed.get(path),
  )
  const elsewhere = new Set([
    ...listWithin(before + after, fixtures),
    ...changed.flatMap((path) => listOthers(path, fixtures)),
  ])
  const previous = [...committed.keys()]
  const missing = changed.filter((path) => !elsewhere.has(path))
  const wanted = sortByUse(missing, fixtures, previous)
  const isSame = wanted.join('\n') === listed.join('\n')
  if (isSame && hasList === wanted.length > 0) return current
  if (wanted.length === 0) return before.replace(/\n\n$/, '\n') + after
  const list = [LIST_HEADING, ...wanted.map((path) => `--!include ${path}`), ''].join('\n')
  return (hasList ? before : separate(before)) + list + after
}

/** Splits the text around the heading and the includes below it. */
function findList(text: string) {
  const lines = text.split('\n')
  const start = lines.indexOf(LIST_HEADING)
  if (start === -1) return { hasList: false, before: text, listed: [], after: '' }
  let end = start + 1
  while (listIncludes(lines[end] ?? '').length > 0) end++
  return {
    hasList: true,
    before: lines
      .slice(0, start)
      .map((line) => `${line}\n`)
      .join(''),
    listed: listIncludes(lines.slice(start + 1, end).join('\n')),
    after: lines.slice(end).join('\n'),
  }
}

/** Ends the text with an empty line, for what comes below. */
function separate(text: string): string {
  if (text.trim() === '') return text
  return text.endsWith('\n') ? `${text}\n` : `${text}\n\n`
}

/** The fixtures that this one includes; none that also includes this one, which is an error to be shown. */
function listOthers(path: string, fixtures: Texts): string[] {
  const listOf = (one: string) => listWithin(fixtures.get(one) ?? '', fixtures)
  return listOf(path).filter((included) => !listOf(included).includes(path))
}

function listWithin(text: string, fixtures: Texts): string[] {
  return listIncluded(compile(text, fixtures)).map(([path]) => path)
}
