import { lastName, unqualifiedWordOf, withoutArguments } from '../../words.ts'
import { listBodyStatements } from '../text/body-statements.ts'
import { offsetOf } from '../text/migration-text.ts'
import { findUnqualified, listLocalNames } from '../text/unqualified.ts'
import type { Trial } from '../trial/trial.ts'
import type { Found } from './finding.ts'
import type { Rule } from './rule.ts'

/** search_path decides what such a name means. */
export const unqualifiedName: Rule = {
  name: 'unqualified-name',
  refuses:
    'the name of a table, view, function or type without its schema, also in the body of a function',
  check(trial) {
    return [...checkStatements(trial), ...checkBodies(trial)]
  },
}

function checkStatements(trial: Trial): Found[] {
  const { text, names } = trial
  const temporary = listLocalNames(text.statements.map(({ tree }) => tree))
  return text.statements.flatMap((statement) =>
    findUnqualified(statement.tree, names, temporary).map(({ kind, name, location }) => {
      const bytes =
        location ?? Buffer.byteLength(statement.text.slice(0, indexOf(statement.text, name)))
      return describe(kind, name, trial, text.placeAt(offsetOf(statement, bytes)))
    }),
  )
}

function checkBodies(trial: Trial): Found[] {
  const { text, names } = trial
  const statements = listBodyStatements(text)
  return statements.flatMap(({ tree, offset, source, routine, siblings }) =>
    findUnqualified(tree, names, listLocalNames(siblings)).map(({ kind, name }) =>
      describe(kind, name, trial, text.placeAt(offset + indexOf(source, name)), ` in ${routine}`),
    ),
  )
}

function describe(
  kind: string,
  name: string,
  { after }: Trial,
  place: Found['place'],
  where = '',
): Found {
  const meant = [...after.objects.values()].find(
    (one) => one.kind !== 'column' && lastName(one.name) === name,
  )
  return {
    message: `the ${kind} ${name}${where} has no schema, so search_path decides what it is`,
    remedy: `write ${meant === undefined ? `its schema in front of it, as in public.${name}` : withoutArguments(meant.name)}`,
    place,
  }
}

function indexOf(text: string, name: string): number {
  return unqualifiedWordOf(name).exec(text)?.index ?? 0
}
