import { definitionsSql } from '../../../src/catalog/definitions/definitions.ts'
import { USER_SCHEMAS } from '../../../src/catalog/scope.ts'
import type { Queryable } from '../../../src/postgres/client.ts'

/** What the catalogue says before or after the migration. */
export interface CatalogState {
  /** By kind and name: `function a.b(text)`. */
  readonly objects: ReadonlyMap<string, CatalogObject>
  readonly routines: ReadonlyMap<string, RoutineState>
  readonly tables: ReadonlyMap<string, TableState>
}

export interface CatalogObject {
  readonly kind: string
  /** Quoted and qualified. */
  readonly name: string
  readonly parent: string | null
  readonly aspects: Readonly<Record<string, string>>
  readonly oid: string
  readonly comment: string | null
}

/** A function or procedure. */
export interface RoutineState {
  /** `commandbus.sp_start_batch(text, uuid)`; by this it is found again. */
  readonly name: string
  readonly schema: string
  readonly ownName: string
  readonly oid: string
  readonly isProcedure: boolean
  /** As a definition writes them: `p_domain text, p_wait boolean DEFAULT true`. */
  readonly arguments: string
  readonly result: string | null
  /** Names of the arguments that a call passes; empty where one has none. */
  readonly inputNames: readonly string[]
  readonly inputTypes: readonly string[]
  /** The defaults of these arguments, as expressions; null where one has none. */
  readonly inputDefaults: readonly (string | null)[]
  readonly language: string
  readonly hasSearchPath: boolean
  /** Nothing was granted or revoked, so everyone may execute it. */
  readonly hasDefaultPrivileges: boolean
}

export interface TableState {
  readonly name: string
  readonly oid: string
  /** Changes when the table is rewritten. */
  readonly fileNode: string
}

/** Reads the state of the user's schemas. */
export async function readCatalogState(client: Queryable): Promise<CatalogState> {
  const objects = await client.query<CatalogObject>(`
    select kind, name, parent, aspects, objid::text as oid, description as comment
      from (${definitionsSql()}) as definition
      left join pg_description
        on (objoid, classoid, pg_description.objsubid) = (objid, classid, definition.objsubid)`)
  const routines = await client.query<RoutineState>(`
    select format('%I.%I(%s)', nspname, proname, oidvectortypes(proargtypes)) as name,
           nspname as schema, proname as "ownName", pg_proc.oid::text as oid, prokind = 'p' as "isProcedure",
           pg_get_function_arguments(pg_proc.oid) as arguments,
           pg_get_function_result(pg_proc.oid) as result,
           ${inputsSql("coalesce(proargnames[position], '')")} as "inputNames",
           ${inputsSql('pg_get_function_arg_default(pg_proc.oid, position::int)')} as "inputDefaults",
           array(select format_type(type, null) from unnest(proargtypes::oid[]) with ordinality as one (type)
                  order by ordinality) as "inputTypes",
           lanname as language,
           coalesce(array_to_string(proconfig, ','), '') ~ '(^|,)search_path=' as "hasSearchPath",
           proacl is null as "hasDefaultPrivileges"
      from pg_proc
      join pg_namespace on pg_namespace.oid = pronamespace
      join pg_language on pg_language.oid = prolang
     where ${USER_SCHEMAS}
       and prokind in ('f', 'p')
       and not exists (select from pg_depend
                        where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype in ('e', 'i'))`)
  const tables = await client.query<TableState>(`
    select format('%I.%I', nspname, relname) as name, pg_class.oid::text as oid, relfilenode::text as "fileNode"
      from pg_class
      join pg_namespace on pg_namespace.oid = relnamespace
     where ${USER_SCHEMAS}
       and relkind in ('r', 'p', 'm')`)
  return {
    objects: new Map(objects.rows.map((one) => [`${one.kind} ${one.name}`, one])),
    routines: new Map(routines.rows.map((one) => [one.name, one])),
    tables: new Map(tables.rows.map((one) => [one.name, one])),
  }
}

/** An array with a value for each argument that a call passes. */
const inputsSql = (value: string) => `
  array(select ${value}
          from unnest(coalesce(proargmodes, array_fill('i'::"char", array[pronargs])))
               with ordinality as argument (mode, position)
         where mode in ('i', 'b', 'v')
         order by position)`

/** The objects that the migration added, changed or dropped. */
export function listChanged(before: CatalogState, after: CatalogState): CatalogObject[] {
  const keys = [...new Set([...before.objects.keys(), ...after.objects.keys()])].sort()
  return keys.flatMap((key) => {
    const [was, is] = [before.objects.get(key), after.objects.get(key)]
    const isSame =
      was !== undefined &&
      is !== undefined &&
      was.comment === is.comment &&
      JSON.stringify(was.aspects) === JSON.stringify(is.aspects)
    return isSame ? [] : ((is ?? was) as CatalogObject)
  })
}

/** Whether the migration made the routine, or changed it. */
export function isChangedRoutine(
  { name, isProcedure }: RoutineState,
  changed: readonly CatalogObject[],
): boolean {
  const kind = isProcedure ? 'procedure' : 'function'
  return changed.some((one) => one.kind === kind && one.name === name)
}
