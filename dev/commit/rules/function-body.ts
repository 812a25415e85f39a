import { findLineOfRoutine } from '../text/routine-lines.ts'
import type { BodyFault } from '../trial/function-bodies.ts'
import type { Rule } from './rule.ts'

/** What plpgsql_check finds in any function: a changed table may break functions that did not change. */
export const functionBody: Rule = {
  name: 'function-body',
  refuses: 'what plpgsql_check finds in a PL/pgSQL function since this migration',
  check({ bodyFaults, text }) {
    // Because of an error, plpgsql_check reads no further, and reports the rest as unused.
    const isWrong = ({ schema, routine }: BodyFault) =>
      bodyFaults.some(
        (one) => one.schema === schema && one.routine === routine && one.level === 'error',
      )
    const shown = bodyFaults.filter((fault) => fault.level === 'error' || !isWrong(fault))
    return shown.map(({ schema, routine, line, level, message }) => ({
      message: `${schema}.${routine}, line ${line ?? 1} of its body: ${message} (plpgsql_check, ${level})`,
      remedy: 'correct the function: PostgreSQL finds this only when the line is run',
      place: findLineOfRoutine(text, { schema, routine, line: line ?? 1 }),
    }))
  },
}
