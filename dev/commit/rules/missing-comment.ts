import { findPlaceOf } from '../text/places.ts'
import type { Rule } from './rule.ts'

const KINDS = [
  'schema',
  'table',
  'column',
  'view',
  'materialized view',
  'function',
  'procedure',
  'type',
]

/** docs/schema/ would say nothing about such an object. */
export const missingComment: Rule = {
  name: 'missing-comment',
  refuses:
    'a new or changed function, and a new schema, table, column, view or type, without a comment',
  check({ before, after, changed, text }) {
    return changed
      .filter(({ kind, name, parent, comment }) => {
        const key = `${kind} ${name}`
        const isNew = !before.objects.has(key)
        // A view's columns are mostly those of tables.
        if (kind === 'column' && !after.objects.has(`table ${parent}`)) return false
        const isRoutine = kind === 'function' || kind === 'procedure'
        return (
          KINDS.includes(kind) && comment === null && after.objects.has(key) && (isNew || isRoutine)
        )
      })
      .map((object) => ({
        message: `the ${object.kind} ${object.name} has no comment`,
        remedy: `add "comment on ${object.kind} ${object.name} is '…';"`,
        place: findPlaceOf(text, object),
      }))
  },
}
