import { parseArgs } from 'node:util'
import { ServiceError } from '../src/errors/service-error.ts'

/** What follows the name of a `db:` command. */
export interface Arguments {
  readonly message: string | undefined
  readonly allow?: string | undefined
  /** What `--help` shows, if it was asked for. */
  readonly help?: string
}

const HELP: Readonly<Record<string, string>> = {
  watch: 'npm run db:watch\n\nApplies what you save in the migrations folder, until Ctrl-C.\n',
  commit:
    'npm run db:commit -- "message" [--allow=RULE[,RULE]]\n\n' +
    'Makes current.sql the next committed migration, after trying it twice in the shadow database, and renews schema/, docs/schema/\n' +
    'and client/schema/. A refusal names its rule, which --allow permits.\n',
  uncommit:
    'npm run db:uncommit\n\nMoves the last committed migration back to current.sql, unless a release has it.\n',
  status:
    'npm run db:status\n\nLists applied and pending migrations, and how the schema has drifted.\n',
}

/** Reads the arguments of a `db:` command. Throws the code too_many_arguments for one that the command does not have. */
export function readArguments(command: string, given: readonly string[]): Arguments {
  const { values, positionals } = parse(command, given)
  const help = HELP[command]
  if (values.help === true && help !== undefined) return { message: undefined, help }
  const isCommit = command === 'commit'
  if (positionals.length > (isCommit ? 1 : 0)) {
    throw new ServiceError(
      'too_many_arguments',
      isCommit
        ? `expected one argument at most, found ${positionals.length}: put a message of several words in quotes, as in ` +
            'npm run db:commit -- "Add a status"'
        : `expected no argument, found ${positionals[0]}: ${help?.split('\n')[0]}`,
    )
  }
  return { message: positionals[0], allow: values.allow }
}

function parse(command: string, given: readonly string[]) {
  const help = { type: 'boolean', short: 'h' } as const
  try {
    return parseArgs({
      args: [...given],
      allowPositionals: true,
      options: command === 'commit' ? { help, allow: { type: 'string' } } : { help },
    }) as { values: { help?: boolean; allow?: string }; positionals: string[] }
  } catch (error) {
    throw new ServiceError(
      'too_many_arguments',
      `${(error as Error).message.split('. ')[0]}; expected: ${HELP[command]?.split('\n')[0]}`,
    )
  }
}
