import type { SchemaOverview } from '../../src/catalog/overview.ts'
import { COLOURS } from '../../src/page/colours.ts'
import { renderDiagram } from '../../src/page/diagram/diagram.ts'
import { DIAGRAM_STYLE } from '../../src/page/diagram/style.ts'

/** Draws the tables of a schema as the page at `/` does, as a file of its own: SVG with its style inside. */
export function drawDiagram(schema: SchemaOverview): string {
  const style = `<style>${COLOURS}svg { font-family: system-ui, sans-serif; background: var(--ground); }\n${DIAGRAM_STYLE}</style>`
  return `${renderDiagram(schema)}\n`
    .replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replace('>\n', `>\n${style}\n`)
}
