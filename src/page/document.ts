import { createHash } from 'node:crypto'
import type { Status } from '../http/schemas/status.ts'
import { STATES, type Tone } from '../status/remedies.ts'
import type { PageData } from './data.ts'
import { renderDrift } from './drift.ts'
import { renderFacts } from './facts.ts'
import { type Html, html, trusted } from './html.ts'
import { renderMigrations } from './migrations.ts'
import { renderSchemaSections, renderSchemas } from './schemas.ts'
import { SCRIPT } from './script.ts'
import { renderState } from './state.ts'
import { STYLE } from './style.ts'

/** How often an open page asks again: sooner while something is going on. */
const REFRESH_MS = { ready: 5000, otherwise: 1500 }

/** Changes whenever style or script do: an open page of an older service then loads itself again. */
const BUILD = sha256(STYLE + SCRIPT).slice(0, 12)

/** Nothing but what the page brings along may run, and nothing may frame it. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${sha256(STYLE)}'`,
  `script-src 'sha256-${sha256(SCRIPT)}'`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** A page in two parts: the part that changes only with what it shows has a tag of its own. */
export interface Page {
  readonly document: string
  /** The same as long as the page reads the same. */
  readonly etag: string
}

/** Renders the whole page, as of `now`. */
export type Renderer = (data: PageData, now: Date) => Page

/** Creates a renderer, which keeps what it drew of the schemas until they change. */
export function createRenderer(): Renderer {
  let drawn: { readonly schemas: unknown; readonly sections: readonly Html[] } | undefined
  return (data, now) => {
    const { schemas } = data.overview
    if (drawn?.schemas !== schemas) drawn = { schemas, sections: renderSchemaSections(schemas) }
    const main = renderMain(data, drawn.sections, now)
    const title = renderTitle(data.status)
    return {
      document: String(renderDocument(data.status, title, main, now)),
      etag: `"${sha256(BUILD + title + main)}"`,
    }
  }
}

function renderTitle({ state, database, service }: Status): string {
  return `${STATES[state].title} · ${database?.name ?? service.name}`
}

function renderMain(data: PageData, schemas: readonly Html[], now: Date): Html {
  const refreshMs = data.status.state === 'ready' ? REFRESH_MS.ready : REFRESH_MS.otherwise
  return html`<main id="main" data-refresh-ms="${refreshMs}">
${renderState(data)}
${renderFacts(data, now)}
${renderMigrations(data, now)}
${renderDrift(data, now)}
${renderSchemas(data, schemas)}
</main>`
}

function renderDocument(status: Status, title: string, main: Html, now: Date): Html {
  const { service, state } = status
  const asOf = now.toISOString()
  return html`<!DOCTYPE html>
<html lang="en" data-build="${BUILD}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link id="icon" rel="icon" href="${renderFavicon(STATES[state].tone)}">
<style>${trusted(STYLE)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the state</a>
<header>
<p class="brand">${service.name}</p>
<nav aria-label="Other views"><ul>
<li><a href="status">Status</a></li>
<li><a href="metrics">Metrics</a></li>
<li><a href="docs">API</a></li>
</ul></nav>
</header>
<p id="lost" class="lost" role="alert"></p>
${main}
<footer>
<p>As of <time id="as-of" datetime="${asOf}">${asOf.slice(0, 19).replace('T', ' ')} UTC</time>. <span id="updates"><a href="">Load again</a></span></p>
</footer>
<script>${trusted(SCRIPT)}</script>
</body>
</html>
`
}

const FAVICON_COLOURS: Readonly<Record<Tone, string>> = {
  good: '1a7f4e',
  busy: '2f66d0',
  waiting: 'c27803',
  bad: 'c7362c',
  ending: '6b7280',
}

function renderFavicon(tone: Tone): string {
  return `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23${FAVICON_COLOURS[tone]}'/%3E%3C/svg%3E`
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}
