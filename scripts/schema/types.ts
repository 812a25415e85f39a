import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import kanel, {
  type CompositeDetails,
  type CompositeProperty,
  type PgTsPreRenderHook,
  type TsDeclaration,
} from 'kanel'
import type { Files } from './dump.ts'
import type { Routine } from './routines.ts'

/** The schema that clients work with, and the functions in it that they call. */
const SCHEMA = 'commandbus'
const PROCEDURE = /^commandbus\.sp_/
const PATH = `client/schema/${SCHEMA}.ts`
const HEADER = '// Made by npm run db:schema, with kanel. Change the migrations, not this.\n\n'

/** What `pg` makes of each type, by both of its names; a bigint stays exact as text. */
const TYPES: Readonly<Record<string, string>> = {
  text: 'string',
  uuid: 'string',
  ...{ int2: 'number', smallint: 'number', int4: 'number', integer: 'number' },
  ...{ int8: 'string', bigint: 'string' },
  ...{ bool: 'boolean', boolean: 'boolean' },
  jsonb: 'unknown',
  ...{ timestamptz: 'Date', 'timestamp with time zone': 'Date' },
}

const SUFFIX = { selector: 'Row', initializer: 'Insert', mutator: 'Update' } as const

/**
 * Writes the types of rows as they are read and inserted, and of each procedure's arguments and results.
 * kanel reads the catalogue and writes them, but for the arguments, which it confuses with columns of the result.
 */
export async function writeTypes(url: string, routines: readonly Routine[]): Promise<Files> {
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-types-'))
  const path = join(folder, SCHEMA)
  const procedures = routines.filter(({ name }) => PROCEDURE.test(name))
  try {
    await silently(() =>
      kanel.processDatabase({
        connection: url,
        schemaNames: [SCHEMA],
        outputPath: folder,
        generators: [
          kanel.makePgTsGenerator({
            customTypeMap: TYPES,
            filter: ({ kind, name }) => kind !== 'function' || PROCEDURE.test(`${SCHEMA}.${name}`),
            propertySortFunction: (one, other) => one.ordinalPosition - other.ordinalPosition,
            getMetadata: ({ name, comment }, purpose) => ({
              name: toPascalCase(name) + SUFFIX[purpose ?? 'selector'],
              comment: purpose === 'selector' ? toLines(comment) : [],
              exportAs: 'named',
              path,
            }),
            getPropertyMetadata: (property, details, purpose) => ({
              name: property.name,
              comment: purpose === 'selector' ? toLines(property.comment) : [],
              typeOverride: columnType(property, details),
            }),
            getRoutineMetadata: ({ name, comment }) => ({
              parametersName: `${toPascalCase(name)}Arguments`,
              parameters: findArguments(procedures, name),
              returnTypeName: `${toPascalCase(name)}Result`,
              returnTypeComment: toLines(comment),
              path,
            }),
            preRenderHooks: [selectDeclarations],
          }),
        ],
      }),
    )
    const text = readFileSync(`${path}.ts`, 'utf8').replaceAll(';\n\n  ', ';\n  ')
    return new Map([[PATH, `${HEADER}${text}\n\n${listProcedures(procedures)}`]])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Kanel prints the name of each file that it writes, and has no setting for that. */
async function silently(work: () => Promise<unknown>): Promise<void> {
  const { info } = console
  console.info = () => {}
  try {
    await work()
  } finally {
    console.info = info
  }
}

const toLines = (comment: string | null) => (comment === null ? [] : [comment])

const toPascalCase = (name: string) =>
  name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** The type of a column; where a check lists the values, these. */
function columnType({ name, type }: CompositeProperty, details: CompositeDetails) {
  const checks = details.kind === 'table' ? details.checks.map(({ clause }) => clause) : []
  const list = checks.find((clause) => clause.startsWith(`${name} = ANY (ARRAY[`))
  const values = list?.match(/'[^']+'(?=::text)/g)?.join(' | ')
  return toType(values ?? findType(type.fullName.replace('pg_catalog.', '')))
}

function findType(name: string): string {
  const type = TYPES[name]
  if (type === undefined) throw new Error(`no TypeScript type for ${name} yet: add it to TYPES`)
  return type
}

const toType = (name: string) => ({ name, typeImports: [] })

/** Any argument may be null, as far as PostgreSQL knows. */
function findArguments(procedures: readonly Routine[], name: string) {
  const procedure = procedures.find((one) => one.name.startsWith(`${SCHEMA}.${name}(`))
  return (procedure?.arguments ?? []).map((argument) => ({
    name: argument.name,
    comment: [],
    typeOverride: toType(findType(argument.type)),
    nullableOverride: true,
    optionalOverride: argument.default !== null,
  }))
}

/**
 * Leaves out updates and identifiers, for which the client has no use, and lets the columns of a result be
 * null, which the catalogue does not tell. In the order of the names, since kanel's is the catalogue's.
 */
const selectDeclarations: PgTsPreRenderHook = (output) => {
  for (const file of Object.values(output)) {
    if (file.fileType !== 'typescript') continue
    file.declarations = file.declarations
      .flatMap((declaration): TsDeclaration[] => {
        const isResult = 'name' in declaration && declaration.name.endsWith('Result')
        if (declaration.declarationType !== 'interface') return isResult ? [declaration] : []
        if (declaration.name.endsWith(SUFFIX.mutator)) return []
        const properties = declaration.properties.map((one) => ({ ...one, isNullable: true }))
        return [isResult ? { ...declaration, properties } : declaration]
      })
      .sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1))
  }
  return output
}

const nameOf = (declaration: TsDeclaration) => ('name' in declaration ? declaration.name : '')

/** Writes a type that leads from a procedure's name to its types. */
function listProcedures(procedures: readonly Routine[]): string {
  const lines = procedures.map(({ name, result }) => {
    const own = name.replace(/^\w+\.|\(.*/g, '')
    const type = toPascalCase(own)
    return `  ${own}: { arguments: ${type}Arguments; result: ${type}Result${result === null ? '[]' : ''} };`
  })
  return `/** The procedures, by name. */\nexport interface Procedures {\n${lines.join('\n')}\n}\n`
}
