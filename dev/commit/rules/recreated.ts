import { findPlaceOf } from '../text/places.ts'
import type { Rule } from './rule.ts'

/** An object was dropped and created again under its name. */
export const recreated: Rule = {
  name: 'recreated',
  refuses: 'a committed function, view or table that is dropped and created again',
  check({ before, after, text }) {
    return [...before.objects.entries()].flatMap(([key, was]) => {
      const is = after.objects.get(key)
      if (!['function', 'procedure', 'view', 'table'].includes(was.kind)) return []
      if (is === undefined || is.oid === was.oid) return []
      const lost =
        was.kind === 'table'
          ? 'its rows and what was granted on it are'
          : 'what was granted on it is'
      return [
        {
          message: `the ${was.kind} ${was.name} is dropped and created again: ${lost} lost in a database that has it`,
          remedy: was.kind === 'table' ? 'alter it' : 'use "create or replace"',
          place: findPlaceOf(text, was),
        },
      ]
    })
  },
}
