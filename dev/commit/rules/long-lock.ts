import { lastName } from '../../words.ts'
import { findPlaceOf, typeOf } from '../text/places.ts'
import { visitTree } from '../text/tree.ts'
import type { CatalogObject } from '../trial/catalog-state.ts'
import type { Trial } from '../trial/trial.ts'
import type { Found } from './finding.ts'
import type { Rule } from './rule.ts'

/** A table that exists in production, with rows, is locked for as long as reading or writing all of them takes. */
export const longLock: Rule = {
  name: 'long-lock',
  refuses: 'a lock on a committed table for as long as all of its rows are read or written',
  check(trial) {
    return [...findRewritten(trial), ...findScans(trial)]
  },
}

function findRewritten({ before, after, text }: Trial): Found[] {
  return [...before.tables.values()]
    .filter((was) => {
      const is = after.tables.get(was.name)
      return is !== undefined && is.oid === was.oid && is.fileNode !== was.fileNode
    })
    .map(({ name }) => ({
      message: `this rewrites the table ${name}, and nothing can read it meanwhile`,
      remedy:
        'add a column beside the old one and fill it in pieces, or give a default that is constant',
      place: findPlaceOf(text, { name }, rewrites),
    }))
}

/** Other statements may rewrite a table, too; these are the most likely. */
const rewrites = ({ text }: { readonly text: string }) =>
  /\balter\s+(?:column\s+)?\S+\s+(?:set\s+data\s+)?type\b|^\s*truncate\b/i.test(text)

/** New indexes and validated constraints of tables that were there before. */
function findScans(trial: Trial): Found[] {
  const { before, after, changed, text } = trial
  const isOld = (name: string | null) =>
    name !== null &&
    before.tables.get(name)?.oid === after.tables.get(name)?.oid &&
    before.tables.has(name)
  return changed
    .filter((object) => isOld(object.parent) && after.objects.has(`${object.kind} ${object.name}`))
    .flatMap((object) => {
      const found = explain(object, trial)
      if (found === undefined) return []
      // PostgreSQL may have named the index.
      const place =
        findPlaceOf(text, object) ??
        findPlaceOf(text, { name: object.parent ?? '' }, (one) => typeOf(one) === 'IndexStmt')
      return [{ ...found, place }]
    })
}

function explain(object: CatalogObject, { before, text }: Trial): Found | undefined {
  const { kind, name, parent, aspects } = object
  const was = before.objects.get(`${kind} ${name}`)
  const definition = aspects.definition ?? ''
  if (kind === 'index' && was?.aspects.definition !== definition) {
    if (isBuiltConcurrently(lastName(name), text)) return undefined
    return {
      message: `nothing can write to ${parent} while the index ${name} is built`,
      remedy:
        'build it in a migration of its own that begins with "--! no-transaction", by "create index concurrently if not exists"',
    }
  }
  if (kind === 'constraint' && was?.aspects.definition !== definition) {
    if (/^(?:PRIMARY KEY|UNIQUE|EXCLUDE)/.test(definition)) {
      return {
        message: `nothing can read or write ${parent} while the index of ${name} is built`,
        remedy: 'build a unique index concurrently first, and add the constraint "using index"',
      }
    }
    if (/^(?:CHECK|FOREIGN KEY)/.test(definition) && !definition.endsWith('NOT VALID')) {
      return {
        message: `nothing can write to ${parent} while all of its rows are checked for ${name}`,
        remedy: 'add the constraint "not valid", and validate it in the next migration',
      }
    }
  }
  if (kind === 'column' && was !== undefined && isNotNull(object) && !isNotNull(was)) {
    return {
      message: `nothing can read or write ${parent} while all of its rows are checked for ${name} not null`,
      remedy:
        'add a check constraint "not valid", validate it in the next migration, and set not null in the one after that',
    }
  }
  return undefined
}

const isNotNull = ({ aspects }: CatalogObject) =>
  Object.entries(aspects).some(([name, value]) => /not null/i.test(`${name} ${value}`))

function isBuiltConcurrently(index: string, text: Trial['text']): boolean {
  return text.statements.some(({ tree }) => {
    let isConcurrent = false
    visitTree(tree, (type, members) => {
      if (type === 'IndexStmt' && members.idxname === index)
        isConcurrent ||= members.concurrent === true
    })
    return isConcurrent
  })
}
