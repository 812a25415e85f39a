import { parseArgs } from 'node:util'
import { ServiceError } from '../../src/errors/service-error.ts'

export const USAGE = `npm run test:sql -- [NAME …] [--coverage]

Runs the tests of functions and views against the migrations as they are saved; without a name, all.
--coverage shows how many statements of each PL/pgSQL function ran.`

/** What follows `test:sql` on the command line. */
export interface Arguments {
  readonly names: readonly string[]
  readonly isMeasured: boolean
  readonly isHelp: boolean
}

/** Reads the arguments. Throws for an unknown option. */
export function readArguments(given: readonly string[]): Arguments {
  try {
    const { values, positionals } = parseArgs({
      args: [...given],
      allowPositionals: true,
      options: { coverage: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    })
    return {
      names: positionals,
      isMeasured: values.coverage === true,
      isHelp: values.help === true,
    }
  } catch (error) {
    throw new ServiceError(
      'too_many_arguments',
      `${(error as Error).message.split('. ')[0]}; expected: ${USAGE.split('\n')[0]}`,
    )
  }
}
