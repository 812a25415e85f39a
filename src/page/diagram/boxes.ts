import type { SchemaOverview, TableOverview } from '../../catalog/overview.ts'
import { showInvisible } from '../html.ts'

/** A column as a row of a box. */
export interface Row {
  readonly name: string
  readonly type: string
  /** `PK`, `FK`, both, or nothing. */
  readonly mark: string
}

/** A table as a box, with its size but without a place. */
export interface Box {
  readonly id: string
  readonly title: string
  /** The whole name and comment, for a pointer that rests on the box. */
  readonly tooltip: string
  readonly rows: readonly Row[]
  /** The whole names of the columns that the rows show. */
  readonly columns: readonly string[]
  /** How many columns are not among the rows. */
  readonly more: number
  /** A table of another schema, which is drawn there. */
  readonly isElsewhere: boolean
  readonly width: number
  readonly height: number
}

/** A foreign key between two boxes. */
export interface Edge {
  readonly child: string
  readonly parent: string
  readonly childColumn: string
  readonly parentColumn: string
  readonly isUnique: boolean
  readonly tooltip: string
}

/** Lengths in the unit of the drawing, which is a CSS pixel at its natural size. */
export const BOX = {
  headHeight: 30,
  rowHeight: 20,
  padding: 7,
  markWidth: 34,
  minWidth: 120,
  maxRows: 12,
} as const

/** How wide a character is: of the title, and of the rows, which are in a font of fixed width. */
const CHARACTER = { title: 7.9, row: 6.7 }
const LONGEST = { title: 32, name: 24, type: 20 }

/** Turns a schema's tables into boxes, and their foreign keys into edges. */
export function createBoxes({ name: schema, tables }: SchemaOverview): {
  boxes: Box[]
  edges: Edge[]
} {
  const boxes = new Map(tables.map((table) => [idOf(schema, table.name), createBox(schema, table)]))
  const edges = tables.flatMap((table) =>
    table.foreignKeys.map((key) => {
      const parent = idOf(key.parentSchema, key.parentTable)
      if (!boxes.has(parent)) boxes.set(parent, createElsewhere(parent, key))
      return {
        child: idOf(schema, table.name),
        parent,
        childColumn: key.columns[0] ?? '',
        parentColumn: key.parentColumns[0] ?? '',
        isUnique: key.isUnique,
        tooltip: `${table.name} (${key.columns.join(', ')}) → ${key.parentTable} (${key.parentColumns.join(', ')})`,
      }
    }),
  )
  return { boxes: [...boxes.values()], edges }
}

const idOf = (schema: string, table: string) => JSON.stringify([schema, table])

function createBox(schema: string, table: TableOverview): Box {
  const keys = new Set(table.foreignKeys.flatMap(({ columns }) => columns))
  const all = table.columns.map(({ name, type, isPrimaryKey }) => ({
    name: shorten(name, LONGEST.name),
    type: shorten(shortType(type), LONGEST.type),
    mark: [isPrimaryKey && 'PK', keys.has(name) && 'FK'].filter(Boolean).join(' '),
    isKey: isPrimaryKey || keys.has(name),
    column: name,
  }))
  const shown = new Set(
    [...all.filter(({ isKey }) => isKey), ...all.filter(({ isKey }) => !isKey)].slice(
      0,
      BOX.maxRows,
    ),
  )
  const rows = all.filter((row) => shown.has(row))
  const { name, comment, partitions } = table
  const title = partitions > 0 ? `${name} ×${partitions}` : name
  return {
    id: idOf(schema, name),
    tooltip: `${name}${comment === null ? '' : `: ${comment}`}`,
    isElsewhere: false,
    columns: rows.map(({ column }) => column),
    ...sizeBox(title, rows, all.length - rows.length),
  }
}

function createElsewhere(
  id: string,
  { parentSchema, parentTable }: { parentSchema: string; parentTable: string },
): Box {
  const name = `${parentSchema}.${parentTable}`
  return {
    id,
    tooltip: `${name}, in another schema`,
    isElsewhere: true,
    columns: [],
    ...sizeBox(name, [], 0),
  }
}

function sizeBox(name: string, rows: readonly Row[], more: number) {
  const title = shorten(name, LONGEST.title)
  const widths = rows.map(
    ({ name, type }) => BOX.markWidth + (widthOf(name) + widthOf(type) + 2) * CHARACTER.row,
  )
  const lines = rows.length + (more > 0 ? 1 : 0)
  const inner = Math.max(BOX.minWidth, widthOf(title) * CHARACTER.title, ...widths)
  return {
    ...{ title, rows, more },
    width: Math.ceil(inner) + 24,
    height: BOX.headHeight + (lines > 0 ? lines * BOX.rowHeight + BOX.padding * 2 : 0),
  }
}

/** The names that people write. */
function shortType(type: string): string {
  return type
    .replace('timestamp with time zone', 'timestamptz')
    .replace('timestamp without time zone', 'timestamp')
    .replace('character varying', 'varchar')
    .replace('double precision', 'float8')
}

const SEGMENTER = new Intl.Segmenter()

/** Cuts at what a reader takes for a character, and shows what cannot be seen before it measures. */
function shorten(text: string, length: number): string {
  if (/^[ -~]*$/.test(text)) {
    return text.length <= length ? text : `${text.slice(0, length - 1)}…`
  }
  const parts = [...SEGMENTER.segment(showInvisible(text))].map(({ segment }) => segment)
  const shown: string[] = []
  let width = 0
  for (const part of parts) {
    width += widthOf(part)
    if (width > length) return `${shown.slice(0, -1).join('')}…`
    shown.push(part)
  }
  return shown.join('')
}

/** In characters: East Asian ones and symbols take the place of two. */
function widthOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length
  let width = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (!/\p{Mn}/u.test(character))
      width += code >= 0x1100 && code !== 0x2026 && !isNarrow(code) ? 2 : 1
  }
  return width
}

const isNarrow = (code: number) => code >= 0x2000 && code <= 0x2e7f
