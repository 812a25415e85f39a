import { ServiceError } from '../../src/errors/service-error.ts'
import type { Queryable } from '../../src/postgres/client.ts'

/** A statement that calls a function, and its values. */
export interface Call {
  readonly text: string
  readonly values: readonly (string | null)[]
}

interface Candidate {
  readonly name: string
  readonly types: readonly string[]
  /** As its definition writes them, without defaults: `p_domain text, p_batch_id uuid`. */
  readonly parameters: string
  /** How many may be left out. */
  readonly defaults: number
  /** Whether only a trigger can call it. */
  readonly isTrigger: boolean
}

/**
 * Finds the function by its name, with or without its schema, and makes a call of it. The arguments are in
 * their order, as text; `null` is null. Rejects with the code call_not_possible.
 */
export async function createCall(
  client: Queryable,
  name: string | undefined,
  given: readonly string[],
): Promise<Call> {
  const { rows } = await client.query<Candidate>(
    `select format('%I.%I', nspname, proname) as name,
            array(select format_type(type, null)
                    from unnest(proargtypes) with ordinality as argument (type, position)
                   order by position) as types,
            pg_get_function_identity_arguments(pg_proc.oid) as parameters,
            pronargdefaults as defaults,
            prorettype in ('trigger'::regtype, 'event_trigger'::regtype) as "isTrigger"
       from pg_catalog.pg_proc
       join pg_catalog.pg_namespace on pg_namespace.oid = pronamespace
      where nspname !~ '^pg_' and nspname not in ('information_schema', 'pgmq')
        and $1::text in (proname::text, nspname || '.' || proname)`,
    [name ?? ''],
  )
  const fitting = rows.filter(
    ({ types, defaults, isTrigger }) =>
      !isTrigger && given.length <= types.length && given.length >= types.length - defaults,
  )
  const [found] = fitting
  if (found === undefined || fitting.length > 1) throw callError(name, given.length, rows)
  const casts = given.map((_, index) => `$${index + 1}::${found.types[index]}`)
  return {
    text: `select * from ${found.name}(${casts.join(', ')})`,
    values: given.map((value) => (value === 'null' ? null : value)),
  }
}

function callError(name: string | undefined, count: number, found: readonly Candidate[]) {
  const trigger = found.find(({ isTrigger }) => isTrigger)
  if (trigger !== undefined) {
    return new ServiceError(
      'call_not_possible',
      `${trigger.name} is a trigger function, which only its trigger can call: expected a function that changes a ` +
        "row of the trigger's table, whose call then shows the trigger function's statements",
    )
  }
  const usage = 'npm run db:explain -- NAME ARGUMENT…'
  return new ServiceError(
    'call_not_possible',
    name === undefined
      ? `expected the name of a function: ${usage}`
      : found.length === 0
        ? `there is no function ${name}: docs/schema/README.md lists those that exist`
        : `${found.map(describe).join(', and ')}; found ${count}${found.length > 1 ? ', which does not select one of them' : ''}: ${usage}`,
  )
}

/** `commandbus.start_batch takes 2 to 3 arguments (p_domain text, p_batch_id uuid, p_wait boolean)` */
function describe({ name, types, defaults, parameters }: Candidate): string {
  const least = types.length - defaults
  const count = defaults === 0 ? `${types.length}` : `${least} to ${types.length}`
  return `${name} takes ${count} argument${count === '1' ? '' : 's'} (${parameters})`
}
