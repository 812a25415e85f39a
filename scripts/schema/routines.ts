import { USER_SCHEMAS } from '../../src/catalog/scope.ts'
import type { Queryable } from '../../src/postgres/client.ts'

export interface Argument {
  readonly name: string
  readonly type: string
  /** Of an argument that may be left out. */
  readonly default: string | null
}

/** How a function is called, and what a call may do. */
export interface Routine {
  /** As in a definition: `commandbus.sp_start_batch(text, uuid)`. */
  readonly name: string
  readonly arguments: readonly Argument[]
  /** Null if it returns a table. */
  readonly result: string | null
  /** The columns of the table that it returns. */
  readonly columns: readonly Argument[]
  readonly language: string
  readonly volatility: 'volatile' | 'stable' | 'immutable'
  readonly isSecurityDefiner: boolean
}

/** Reads how the functions of the user's schemas are called. */
export async function readRoutines(client: Queryable): Promise<Routine[]> {
  const { rows } = await client.query<Routine>(`
    select format('%I.%I(%s)', nspname, proname, oidvectortypes(proargtypes)) as name,
           ${argumentsSql("mode in ('i', 'b', 'v')")} as arguments,
           case when proargmodes @> '{t}' then null else pg_get_function_result(pg_proc.oid) end as result,
           ${argumentsSql("mode = 't'")} as columns,
           lanname as language,
           case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
           prosecdef as "isSecurityDefiner"
      from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace
      join pg_language on pg_language.oid = prolang
     where ${USER_SCHEMAS}
     order by 1`)
  return rows
}

const argumentsSql = (condition: string) => `
  (select coalesce(jsonb_agg(jsonb_build_object(
            'name', argument.name,
            'type', format_type(argument.type, null),
            'default', pg_get_function_arg_default(pg_proc.oid, position::int)) order by position), '[]')
     from unnest(proargnames,
                 coalesce(proallargtypes, proargtypes::oid[]),
                 coalesce(proargmodes, array_fill('i'::"char", array[pronargs::int])))
          with ordinality as argument (name, type, mode, position)
    where ${condition})`
