import type { Status } from '../http/schemas/status.ts'
import type { PageData } from './data.ts'
import { type Html, html } from './html.ts'
import { moment, plural } from './time.ts'

/** The last applied migrations are shown, the earlier ones on request. */
const SHOWN = 8

/** Of what the uncommitted migration has changed. */
const SHOWN_CHANGES = 20

type Applied = Status['migrations']['applied'][number]
type Pending = Status['migrations']['pending'][number]
type Current = Status['migrations']['current']

/** The migrations as a timeline: applied ones with their time, then what is pending. */
export function renderMigrations({ status }: PageData, now: Date): Html {
  const { applied, pending, current } = status.migrations
  const earlier = applied.slice(0, Math.max(0, applied.length - SHOWN))
  const last = applied.slice(earlier.length)
  return html`<section id="migrations" aria-labelledby="migrations-title">
<h2 id="migrations-title">Migrations</h2>
<p class="summary">${plural(applied.length, 'migration')} applied, ${pending.length === 0 ? 'none' : pending.length} pending</p>
${
  earlier.length > 0 &&
  html`<details id="earlier-migrations"><summary>${plural(earlier.length, 'earlier migration')}</summary>
<ol class="timeline">${earlier.map((one) => renderApplied(one, now))}</ol></details>`
}
${
  applied.length + pending.length > 0 &&
  html`<ol class="timeline" start="${earlier.length + 1}">
${last.map((one) => renderApplied(one, now))}${pending.map((one, index) => renderPending(one, index, status))}</ol>`
}
${renderCurrent(current)}
</section>`
}

/** The uncommitted migration: what the development loop has applied of it, and why it fails. */
function renderCurrent({ empty, changes = [], failure }: Current): Html | false {
  if (empty && changes.length === 0) return false
  const more = changes.length - SHOWN_CHANGES
  const what = empty
    ? html`<code>current.sql</code> is empty. This database still has what it changed:`
    : html`It has changed in this database:`
  return html`${!empty && html`<p class="note">An uncommitted migration is in <code>current.sql</code>; the service never runs it.</p>`}
${failure !== undefined && html`<p class="note" id="current-failure">It could not be applied when it was last saved: ${failure.file !== undefined && html`<code>${failure.file}:${failure.line}</code> `}<bdi>${failure.message}</bdi></p>`}
${
  changes.length > 0 &&
  html`<p class="note">${what}</p>
<ul id="current-changes">${changes
    .slice(0, SHOWN_CHANGES)
    .map(({ kind, name, change }) => html`<li>${kind} <bdi>${name}</bdi> ${change}</li>`)}</ul>
${more > 0 && html`<p class="note">${plural(more, 'more change')} in <a href="status">/status</a>.</p>`}`
}`
}

function renderApplied(migration: Applied, now: Date): Html {
  return html`<li class="applied">${renderName(migration)}<p class="when">Applied ${moment(migration.appliedAt, now)}</p></li>
`
}

function renderPending(migration: Pending, index: number, status: Status): Html {
  // The first one is the one that runs, or that failed: what is after it has not begun.
  const isNamed = index === 0 && (status.detail?.includes(migration.filename) ?? false)
  const [kind, word] =
    isNamed && status.state === 'migrating'
      ? ['running', 'Being applied']
      : isNamed && status.state === 'migration_failed'
        ? ['failed', 'Failed']
        : ['pending', 'Pending']
  return html`<li class="${kind}">${renderName(migration)}<p class="when">${word}</p></li>
`
}

function renderName({ filename, name, message }: Applied | Pending): Html {
  const [number] = filename.split(/[-.]/)
  const title = name ?? filename
  return html`<p class="name"><span class="number">${number}</span> <bdi>${title}</bdi></p>${message !== null && message !== name && html`<p class="message" dir="auto">${message}</p>`}`
}
