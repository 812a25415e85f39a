import { unqualifiedWordOf } from '../words.ts'
import type { Texts } from './fixtures.ts'

const CREATED =
  /\bcreate\s+(?:or\s+replace\s+)?(?:function|procedure|aggregate|(?:materialized\s+)?view|table|type|domain|sequence)\s+(?:if\s+not\s+exists\s+)?((?:\w+|"[^"]+")(?:\.(?:\w+|"[^"]+"))?)/gi

/**
 * Sorts fixtures so that each comes behind those whose objects its text mentions: they may not exist yet, so no
 * catalogue knows about them. Otherwise, and among those that use each other, the order is that of the
 * previous migrations, and new ones come last.
 */
export function sortByUse(
  paths: readonly string[],
  texts: Texts,
  previous: readonly string[],
): string[] {
  const rank = (path: string) => {
    const index = previous.indexOf(path)
    return index === -1 ? previous.length : index
  }
  const left = [...paths].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
  const uses = new Map(left.map((path) => [path, findUsed(path, left, texts)]))
  const sorted: string[] = []
  while (left.length > 0) {
    const isFree = (path: string) => !uses.get(path)?.some((used) => left.includes(used))
    const index = Math.max(0, left.findIndex(isFree))
    sorted.push(...left.splice(index, 1))
  }
  return sorted
}

function findUsed(path: string, others: readonly string[], texts: Texts): string[] {
  const text = texts.get(path) ?? ''
  return others.filter(
    (other) =>
      other !== path &&
      listCreated(texts.get(other) ?? '').some((name) => unqualifiedWordOf(name).test(text)),
  )
}

/** Lists the names that a text creates, as they are written in it. */
export function listCreated(text: string): string[] {
  return [...text.matchAll(CREATED)].map(([, name = '']) => name)
}
