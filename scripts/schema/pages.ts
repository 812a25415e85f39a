import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { SchemaOverview } from '../../src/catalog/overview.ts'
import { toMarkdownTable } from '../markdown-table.ts'
import { drawDiagram } from './diagram.ts'
import { type Files, pathOf, plainName } from './dump.ts'
import type { SchemaObject } from './objects.ts'
import type { Argument, Routine } from './routines.ts'
import { ownName } from './statements.ts'

export interface PageSources {
  readonly objects: readonly SchemaObject[]
  readonly overview: readonly SchemaOverview[]
  readonly routines: readonly Routine[]
  readonly projectDir: string
}

const FOLDER = 'docs/schema'
const NOTE = '<!-- Made by npm run db:schema. Change the comments in the migrations, not this. -->'

/** Writes a page for each table, view and function, a diagram of each schema, and the list of all pages. */
export function writePages(sources: PageSources): Files {
  const { objects, overview } = sources
  const files: Files = new Map()
  for (const schema of overview.filter(({ tables }) => tables.length > 0)) {
    files.set(`${FOLDER}/${schema.name}.svg`, drawDiagram(schema))
  }
  for (const object of objects) {
    const parts = PAGES[object.kind]?.write(object, sources)
    if (parts === undefined) continue
    const path = pageOf(object)
    const page = files.get(path)
    // Overloaded functions share a page.
    const text = toPage(`${object.schema}.${plainName(object)}`, [
      ...parts,
      listLinks(object, path, sources.projectDir),
    ])
    files.set(path, page === undefined ? text : `${page}\n${text.slice(text.indexOf('\n\n') + 2)}`)
  }
  return files.set(`${FOLDER}/README.md`, toPage('The schema', listPages(sources)))
}

const toPage = (title: string, parts: readonly string[]) =>
  `${[NOTE, `# ${title}`, ...parts.filter((part) => part !== '')].join('\n\n')}\n`

const pageOf = (object: SchemaObject) =>
  `${FOLDER}/${object.schema}/${object.kind}s/${plainName(object)}.md`

/** What stands on a page, as paragraphs. */
type WritePage = (object: SchemaObject, sources: PageSources) => string[]

const writeRelation: WritePage = ({ name, comment }, { objects }) => {
  const parts = (kind: string) => objects.filter((one) => one.kind === kind && one.parent === name)
  const columns = parts('column').map((column) => [
    code(ownName(column)),
    code(definitionOf(column)),
    column.comment ?? '',
  ])
  const references = objects.filter(
    (one) => one.kind === 'constraint' && definitionOf(one).includes(`REFERENCES ${name}(`),
  )
  return [
    comment ?? '',
    toMarkdownTable(['Column', 'Type', 'Meaning'], columns.map(toCells)),
    ...list('Constraints', parts('constraint').map(describePart)),
    ...list('Indexes', parts('index').map(describePart)),
    ...list('Triggers', parts('trigger').map(describePart)),
    ...list(
      'Referenced by',
      references.map((one) => `${code(one.parent ?? '')}: ${describePart(one)}`),
    ),
  ]
}

const writeRoutine: WritePage = ({ name, comment, aspects }, { routines }) => {
  const routine = routines.find((one) => one.name === name)
  if (routine === undefined) throw new Error(`${name} is not among the routines`)
  const { result, columns, language, volatility, isSecurityDefiner } = routine
  const returns =
    result === null ? `Returns rows:\n\n${tabulate(columns)}` : `Returns ${code(result)}.`
  const rights = isSecurityDefiner ? 'its owner’s' : 'its caller’s'
  const isPublic = aspects['privileges of PUBLIC'] !== undefined
  return [
    comment ?? '',
    routine.arguments.length === 0 ? 'It has no arguments.' : tabulate(routine.arguments),
    returns,
    `In ${language === 'plpgsql' ? 'PL/pgSQL' : language.toUpperCase()}; ${volatility}; runs with ${rights} rights; ` +
      `may be executed by ${isPublic ? 'everyone' : 'its owner and roles that were granted it'}.`,
  ]
}

/** The kinds that have pages, in the order of the list. */
const PAGES: Readonly<Record<string, { title: string; write: WritePage }>> = {
  table: { title: 'Tables', write: writeRelation },
  view: { title: 'Views', write: writeRelation },
  function: { title: 'Functions', write: writeRoutine },
  procedure: { title: 'Procedures', write: writeRoutine },
}

function listPages({ objects, overview }: PageSources): string[] {
  const schemas = objects.filter(({ kind }) => kind === 'schema')
  return [
    'What the committed migrations make, read from the catalogue; PostgreSQL 15 and 18 give the same. As SQL, a file for ' +
      'each object, it is in [schema/](../../schema). [How to change it](../use/changing-the-schema.md), ' +
      '[how to call the procedures](../use/procedures/README.md).',
    ...schemas.flatMap(({ name, comment }) => [
      `## ${name}`,
      comment ?? '',
      overview.some((one) => one.name === name && one.tables.length > 0)
        ? `![Tables of ${name} and the keys between them](${name}.svg)`
        : '',
      ...Object.entries(PAGES).flatMap(([kind, { title }]) =>
        list(
          title,
          objects
            .filter((one) => one.kind === kind && one.parent === name)
            .map(
              (one) =>
                `${link(plainName(one), pageOf(one), `${FOLDER}/README.md`)}: ${one.comment ?? 'no comment'}`,
            ),
        ),
      ),
    ]),
  ]
}

/** Links a page with what else there is about its object. */
function listLinks(object: SchemaObject, page: string, projectDir: string): string {
  const { schema, kind } = object
  const name = plainName(object)
  const found = [
    ['definition', pathOf(object)],
    ['fixture', `migrations/fixtures/${schema}/${kind}s/${name}.sql`],
    ['how to call it', `docs/use/procedures/${name}.md`],
    ['tests', `test/schema/${schema}/${kind}s/${name}.test.ts`],
  ].filter(([, path = ''], index) => index === 0 || existsSync(join(projectDir, path)))
  return found.map(([title = '', path = '']) => link(title, path, page)).join(' · ')
}

const link = (title: string, path: string, page: string) =>
  `[${title}](${relative(dirname(page), path)})`

const definitionOf = ({ aspects }: SchemaObject) => aspects.definition ?? ''

/** Names a part and says what it is, without what its page says anyway. */
function describePart(part: SchemaObject): string {
  const definition = definitionOf(part)
    .replace(/^CREATE (?:TRIGGER \S+ )?/, '')
    .replace(/INDEX \S+ ON \S+ USING /, '')
    .replace(/ ON \S+ FOR EACH/, ' FOR EACH')
  const name = part.kind === 'index' ? part.name.replace(`${part.schema}.`, '') : ownName(part)
  return `${code(name)}: ${code(definition)}`
}

function tabulate(values: readonly Argument[]): string {
  const rows = values.map(({ name, type, default: preset }) => [
    code(name),
    code(type),
    preset === null ? '' : code(preset),
  ])
  const hasDefaults = values.some((value) => value.default !== null)
  const head = ['Name', 'Type', ...(hasDefaults ? ['If left out'] : [])]
  return toMarkdownTable(
    head,
    rows.map((row) => toCells(row.slice(0, head.length))),
  )
}

const list = (title: string, items: readonly string[]) =>
  items.length === 0 ? [] : [`**${title}**`, items.map((item) => `- ${item}`).join('\n')]

const code = (text: string) => `\`${text}\``
/** A bar would end the cell. */
const toCells = (row: readonly string[]) => row.map((text) => text.replaceAll('|', '\\|'))
