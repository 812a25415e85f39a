import { isAbsolute, normalize } from 'node:path'

/** What graphile-migrate replaces by a fixture. It takes every other line for a comment. */
const INCLUDE = /^--![ \t]*include[ \t]+(.*\.sql)[ \t]*$/gm
const INCLUDE_LIKE = /^[ \t]*--[ \t]*![ \t]*include\b.*$/gim

/** Lists the fixtures that a text includes, as their paths in `fixtures/`; none outside of it. */
export function listIncludes(text: string): string[] {
  return [...text.matchAll(INCLUDE)].map(([, path = '']) => path).filter(isInside)
}

/**
 * Finds a line that looks like an include and would include nothing, or a file outside of `fixtures/`; undefined if
 * there is none.
 */
export function findWrongInclude(text: string): string | undefined {
  for (const { 0: found, index } of text.matchAll(INCLUDE_LIKE)) {
    const reason = findReason(found)
    if (reason === undefined) continue
    const line = text.slice(0, index).split('\n').length
    return `has an include that ${reason}, line ${line}: ${JSON.stringify(found.trim().slice(0, 100))}`
  }
  return undefined
}

function findReason(line: string): string | undefined {
  const path = line.replace(/^[^i]*include[ \t]*/i, '').trim()
  if (!isInside(path)) return 'is outside of fixtures/'
  if (listIncludes(line).length > 0) return undefined
  return 'graphile-migrate ignores, since it is not "--!include PATH.sql" from the first column on'
}

function isInside(path: string): boolean {
  return !isAbsolute(path) && !/^\.\.(?:\/|$)/.test(normalize(path))
}
