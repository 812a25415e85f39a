import type { LargeOverview, ObjectCounts, TableSize } from '../catalog/large-overview.ts'
import { type Html, html } from './html.ts'
import { formatBytes, formatCount, plural } from './time.ts'

/** What there is in numbers, where a diagram or a list would be too long to be read. */
export function renderLargeSchemas(overview: LargeOverview): Html {
  const { counts, schemaCount, schemas, largestTables } = overview
  const summary = [plural(schemaCount, 'schema'), ...listCounts(counts)].join(' · ')
  return html`<p class="summary">${summary}</p>
<p class="note">Too many for a diagram or a list: only the largest are shown. Sizes and rows are estimates from when PostgreSQL last vacuumed or analyzed the table.</p>
${largestTables.length > 0 && renderLargestTables(largestTables)}
${renderSchemaCounts(schemas, schemaCount)}
`
}

function listCounts({ tables, views, routines }: ObjectCounts): string[] {
  return [
    plural(tables, 'table'),
    ...(views > 0 ? [plural(views, 'view')] : []),
    plural(routines, 'routine'),
  ]
}

function renderLargestTables(tables: readonly TableSize[]): Html {
  return html`<section class="scroll" tabindex="0" aria-label="The largest tables"><table>
<caption>The largest tables</caption>
<thead><tr><th scope="col">Table</th><th scope="col">Rows</th><th scope="col">Size</th></tr></thead>
<tbody>
${tables.map(
  ({
    schema,
    name,
    partitions,
    rows,
    bytes,
  }) => html`<tr><th scope="row"><bdi>${schema}</bdi>.<bdi>${name}</bdi>${partitions > 0 && html` <span class="note">${plural(partitions, 'partition')}</span>`}</th><td>${rows === null ? 'not known yet' : formatCount(rows)}</td><td>${bytes === null ? 'not known yet' : formatBytes(bytes)}</td></tr>
`,
)}</tbody></table></section>`
}

function renderSchemaCounts(schemas: LargeOverview['schemas'], schemaCount: number): Html {
  const more = schemaCount - schemas.length
  return html`<section class="scroll" tabindex="0" aria-label="Schemas by size"><table>
<caption>Schemas</caption>
<thead><tr><th scope="col">Schema</th><th scope="col">Tables</th><th scope="col">Views</th><th scope="col">Routines</th></tr></thead>
<tbody>
${schemas.map(
  ({ name, tables, views, routines }) =>
    html`<tr><th scope="row"><bdi>${name}</bdi></th><td>${formatCount(tables)}</td><td>${formatCount(views)}</td><td>${formatCount(routines)}</td></tr>
`,
)}</tbody></table></section>
${more > 0 && html`<p class="note">And ${plural(more, 'smaller schema')}.</p>`}`
}
