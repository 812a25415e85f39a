import { findPlaceOf } from '../text/places.ts'
import type { BrokenCall } from '../trial/calls.ts'
import type { RoutineState } from '../trial/catalog-state.ts'
import type { Trial } from '../trial/trial.ts'
import type { Found } from './finding.ts'
import type { Rule } from './rule.ts'

const REMEDY =
  'callers of the older version go on while this one is deployed: keep the signature, or add a function of another name'

/** A committed function can no longer be called as before, or returns something else. */
export const signatureChanged: Rule = {
  name: 'signature-changed',
  refuses:
    'a committed function that takes other arguments, has other defaults, returns something else, is gone, or is ambiguous now',
  check(trial) {
    return [...trial.before.routines.values()].flatMap((was) => {
      const message = describeChange(was, trial)
      return message === undefined ? [] : [find(was, message, trial)]
    })
  },
}

function describeChange(was: RoutineState, { after, brokenCalls }: Trial): string | undefined {
  const is = after.routines.get(was.name)
  const others = [...after.routines.values()].filter(
    ({ schema, ownName }) => schema === was.schema && ownName === was.ownName,
  )
  const broken = brokenCalls.filter(({ call }) => call.routine === was)
  if (is === undefined) {
    if (was.result === 'trigger') return undefined
    // Each call of the old one is a call of one that has its result: it only got another optional argument.
    const isReplaced = broken.length === 0 && others.some(({ result }) => result === was.result)
    if (isReplaced && !was.isProcedure) return undefined
    const now = others.map(({ name }) => name).join(', ')
    return `${was.name} is gone${now === '' ? '' : `; now there is ${now}`}${describeCalls(broken)}`
  }
  if (is.result !== was.result) {
    return `${was.name} returned ${was.result}, and returns ${is.result} now`
  }
  if (broken.length > 0) {
    return `${was.name} cannot be called as before${describeCalls(broken)}`
  }
  const index = was.inputDefaults.findIndex(
    (preset, at) => preset !== null && preset !== is.inputDefaults[at],
  )
  if (index === -1) return undefined
  return `the default of ${was.inputNames[index]} in ${was.name} was ${was.inputDefaults[index]}, and is ${is.inputDefaults[index] ?? 'gone'} now`
}

function describeCalls(broken: readonly BrokenCall[]): string {
  const [first] = broken
  return first === undefined ? '' : `: ${first.call.title} worked before; now ${first.message}`
}

function find(was: RoutineState, message: string, { text }: Trial): Found {
  return { message, remedy: REMEDY, place: findPlaceOf(text, was) }
}
