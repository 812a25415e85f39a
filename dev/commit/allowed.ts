import { ServiceError } from '../../src/errors/service-error.ts'
import { RULES } from './rules/index.ts'
import { hasSquawkRule, SQUAWK } from './rules/squawk.ts'

/** The service refuses these, too, so a commit cannot allow them. */
const NEVER = [
  ...['transaction-control', 'psql-command', 'copy-through-client', 'not-utf8', 'nul-byte'],
  ...['byte-order-mark', 'ignored-header', 'ignored-include'],
]

/** Reads the value of `--allow`: names of rules, with commas between them. Rejects if one does not exist. */
export async function readAllowed(value: string | undefined): Promise<ReadonlySet<string>> {
  const names = (value ?? '').split(',').map((name) => name.trim())
  const wanted = names.filter((name) => name !== '')
  if (value !== undefined && wanted.length === 0) throw unknownError('nothing')
  for (const name of wanted) {
    if (RULES.some((rule) => rule.name === name)) continue
    if (name.startsWith(SQUAWK) && (await hasSquawkRule(name.slice(SQUAWK.length)))) continue
    throw unknownError(name)
  }
  return new Set(wanted)
}

function unknownError(name: string): ServiceError {
  const known = [...RULES.map((rule) => rule.name), `${SQUAWK}<name of a rule of squawk>`]
  const never = NEVER.includes(name)
    ? ': that cannot be allowed, since no service would run such a file'
    : ''
  return new ServiceError(
    'commit_rule_unknown',
    `--allow takes names of rules, with commas between them; found ${name}${never}. Expected: ${known.join(', ')}`,
  )
}
