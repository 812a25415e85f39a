import { lastName } from '../../words.ts'
import { findPlaceOf } from '../text/places.ts'
import type { Rule } from './rule.ts'

const REMEDY =
  'use "if not exists", "create or replace" or "on conflict do nothing", or undo it first ("drop … if exists"): ' +
  'the watch runs the file on every save'

/** The migration cannot be run twice, or does something else then. */
export const notRepeatable: Rule = {
  name: 'not-repeatable',
  refuses: 'what fails, adds rows or changes an object once more when it is run again',
  check({ second, text }) {
    const { failure, rows, changed } = second
    if (failure !== undefined) {
      return [
        {
          message: `this ran once and fails when it is run again: ${failure.message}`,
          remedy: REMEDY,
          place: failure.place,
        },
      ]
    }
    return [
      ...rows.map(({ table, count }) => ({
        message: `run again, this leaves ${Math.abs(count)} ${count > 0 ? 'more' : 'fewer'} ${Math.abs(count) === 1 ? 'row' : 'rows'} in ${table}`,
        remedy: REMEDY,
        place: findPlaceOf(text, { name: lastName(table) }),
      })),
      ...changed.map(({ kind, name, parent }) => ({
        message: `run again, this changes the ${kind} ${name} once more`,
        remedy: REMEDY,
        place:
          findPlaceOf(text, { name, parent }) ??
          (parent ? findPlaceOf(text, { name: parent }) : undefined),
      })),
    ]
  },
}
