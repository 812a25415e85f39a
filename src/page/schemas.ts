import type { RoutineOverview, SchemaOverview, TableOverview } from '../catalog/overview.ts'
import type { PageData } from './data.ts'
import { renderDiagram } from './diagram/diagram.ts'
import { type Html, html } from './html.ts'
import { renderLargeSchemas } from './large-schemas.ts'
import { formatUtc, plural } from './time.ts'

/** How many tables are drawn; more than that, nobody takes in as a picture. */
const DRAWN_TABLES = 60

/** The schemas: a diagram of tables and keys, the same in words, and the routines. */
export function renderSchemas({ status, overview }: PageData, sections: readonly Html[]): Html {
  const { schemas, large, readAt } = overview
  const empty = readAt === undefined ? 'Not read yet.' : 'The database has no schemas of its own.'
  const isOld = status.state === 'database_unavailable' && readAt !== undefined
  return html`<section id="schemas" aria-labelledby="schemas-title">
<h2 id="schemas-title">Schemas</h2>
${isOld && html`<p class="note">As of ${formatUtc(readAt)}, when the database last answered.</p>`}
${large !== undefined && renderLargeSchemas(large)}
${schemas.length === 0 && large === undefined && html`<p class="summary">${empty}</p>`}
${sections}
</section>`
}

/** Renders each schema; what it costs is worth keeping for as long as the schemas are the same. */
export function renderSchemaSections(schemas: readonly SchemaOverview[]): Html[] {
  let drawn = 0
  return schemas.map((schema) => {
    const isDrawn = schema.tables.length > 0 && drawn + schema.tables.length <= DRAWN_TABLES
    if (isDrawn) drawn += schema.tables.length
    return renderSchema(schema, isDrawn)
  })
}

function renderSchema(schema: SchemaOverview, isDrawn: boolean): Html {
  const { name, comment, tables, views, routines } = schema
  const counts = [
    plural(tables.length, 'table'),
    ...(views.length > 0 ? [plural(views.length, 'view')] : []),
    plural(routines.length, 'routine'),
  ]
  const id = `schema-${Buffer.from(name).toString('hex')}`
  return html`<section id="${id}" class="schema" aria-labelledby="${id}-title">
<h3 id="${id}-title"><bdi>${name}</bdi></h3>
<p class="summary">${counts.join(' · ')}</p>
${comment !== null && html`<p class="comment" dir="auto">${comment}</p>`}
${isDrawn && html`<section class="scroll" tabindex="0" aria-label="Diagram of ${name}">${renderDiagram(schema)}</section>`}
${tables.length > 0 && renderTables(schema, id, isDrawn)}
${
  views.length > 0 &&
  html`<details id="${id}-views"><summary>${plural(views.length, 'view')}</summary>
<dl class="routines">${views.map(
    (
      view,
    ) => html`<div><dt><bdi>${view.name}</bdi></dt><dd dir="auto">${view.comment ?? 'No comment.'}</dd></div>
`,
  )}</dl></details>`
}
${routines.length > 0 && renderRoutines(routines, id)}
</section>
`
}

function renderTables({ name, tables }: SchemaOverview, id: string, isDrawn: boolean): Html {
  return html`<details id="${id}-tables"><summary>${plural(tables.length, 'table')} in words</summary>
${!isDrawn && html`<p class="note">There are too many tables for a diagram.</p>`}
<section class="scroll" tabindex="0" aria-label="Tables of ${name}"><table>
<thead><tr><th scope="col">Table</th><th scope="col">Columns</th><th scope="col">Refers to</th></tr></thead>
<tbody>
${tables.map(
  (
    table,
  ) => html`<tr><th scope="row"><bdi>${table.name}</bdi>${table.partitions > 0 && html` <span class="note">${plural(table.partitions, 'partition')}</span>`}${table.comment !== null && html`<span class="comment" dir="auto">${table.comment}</span>`}</th><td>${isDrawn ? listColumns(table) : plural(table.columns.length, 'column')}</td><td>${listReferences(name, table)}</td></tr>
`,
)}</tbody></table></section></details>`
}

function listColumns({ columns }: TableOverview): Html {
  return html`<ul>${columns.map(
    ({
      name,
      type,
      isNullable,
      isPrimaryKey,
    }) => html`<li><bdi>${name}</bdi> <span class="type">${type}${isPrimaryKey ? ', primary key' : isNullable && ', nullable'}</span></li>
`,
  )}</ul>`
}

function listReferences(schema: string, { foreignKeys }: TableOverview): Html {
  if (foreignKeys.length === 0) return html`nothing`
  return html`<ul>${foreignKeys.map(
    ({
      columns,
      parentSchema,
      parentTable,
      parentColumns,
    }) => html`<li><bdi>${parentSchema === schema ? '' : `${parentSchema}.`}${parentTable}</bdi> <span class="type">${`${columns.join(', ')} → ${parentColumns.join(', ')}`}</span></li>
`,
  )}</ul>`
}

function renderRoutines(routines: readonly RoutineOverview[], id: string): Html {
  const order: readonly RoutineOverview['kind'][] = [
    'procedure',
    'function',
    'aggregate',
    'trigger',
  ]
  const groups = order
    .map((kind) => ({ kind, found: routines.filter((one) => one.kind === kind) }))
    .filter(({ found }) => found.length > 0)
  const counts = groups.map(({ kind, found }) =>
    plural(found.length, kind === 'trigger' ? 'trigger function' : kind),
  )
  return html`<details id="${id}-routines"><summary>${counts.join(', ')}</summary>
<dl class="routines">${groups
    .flatMap(({ found }) => found)
    .map(
      ({
        name,
        kind,
        arguments: args,
        result,
        comment,
      }) => html`<div><dt><code><bdi>${name}</bdi>(<bdi>${args}</bdi>)</code> <span class="type">${describeKind(kind, result)}</span></dt><dd dir="auto">${comment ?? 'No comment.'}</dd></div>
`,
    )}</dl></details>`
}

function describeKind(kind: RoutineOverview['kind'], result: string | null): string {
  if (kind === 'trigger') return 'trigger function'
  return result === null ? kind : `${kind === 'aggregate' ? 'aggregate ' : ''}→ ${result}`
}
