import type { BlockingSession } from '../readiness.ts'
import { FINDINGS, type Finding, STATES, TONE_WORDS, type Tone } from '../status/remedies.ts'
import type { PageData } from './data.ts'
import { listFindings } from './findings.ts'
import { type Html, html, prose, trusted } from './html.ts'
import { formatDuration } from './time.ts'

/** The state in words and colour, with its reason and what to do, and what was noticed besides. */
export function renderState(data: PageData): Html {
  const { status, blockers } = data
  const { title, tone, meaning, remedy } = STATES[status.state]
  return html`<section id="state" class="state tone-${tone}" aria-labelledby="state-title">
<div role="status">
<p class="tone-word">${icon(tone)} ${TONE_WORDS[tone]}</p>
<h1 id="state-title">${title}</h1>
<p class="meaning">${prose(meaning)}</p>
${renderDetail(status.detail)}
</div>
${status.state === 'migrating' && renderProgress(data)}
${blockers.length > 0 && renderBlockers(blockers)}
${remedy !== undefined && renderRemedy(remedy)}
</section>
${listFindings(status).map((name) => renderFinding(name, FINDINGS[name]))}`
}

function renderDetail(detail: string | null): Html | false {
  return detail !== null && html`<p class="detail" dir="auto">${detail}</p>`
}

function renderRemedy(remedy: string): Html {
  return html`<div class="remedy"><h2>What to do</h2><p>${prose(remedy)}</p></div>`
}

function renderFinding(name: string, { title, tone, meaning, remedy }: Finding): Html {
  return html`<section id="finding-${name}" class="finding tone-${tone}" aria-labelledby="finding-${name}-title">
<h2 id="finding-${name}-title">${icon(tone)} ${title}</h2>
<p>${prose(meaning)} ${prose(remedy)}</p>
</section>`
}

function renderProgress({ status: { migrations } }: PageData): Html {
  const applied = migrations.applied.length
  const all = applied + migrations.pending.length
  return html`<p class="progress"><progress id="progress" aria-label="Migrations applied" max="${all}" value="${applied}"></progress> <label for="progress">${applied} of ${all} applied</label></p>`
}

function renderBlockers(blockers: readonly BlockingSession[]): Html {
  return html`<section class="scroll" tabindex="0" aria-labelledby="blockers-caption"><table>
<caption id="blockers-caption">Waiting for these transactions</caption>
<thead><tr><th scope="col">Session</th><th scope="col">Application</th><th scope="col">State</th><th scope="col">Open for</th></tr></thead>
<tbody>
${blockers.map(
  ({
    pid,
    gid,
    application,
    state,
    ageMs,
  }) => html`<tr><th scope="row">${pid === null ? html`prepared <bdi>${gid}</bdi>` : `pid ${pid}`}</th><td><bdi>${application || '(unnamed)'}</bdi></td><td>${state ?? 'not known'}</td><td>${ageMs === null ? 'not known' : formatDuration(ageMs)}</td></tr>
`,
)}</tbody></table></section>`
}

/** Strokes in a circle: the form says what the colour says. */
const STROKES: Readonly<Record<Tone, string>> = {
  good: 'M6.5 10.3l2.4 2.4 4.8-5',
  busy: 'M10 6.2v3.8l2.6 1.6',
  waiting: 'M10 6.2v4.4M10 13.5v.2',
  bad: 'M7.2 7.2l5.6 5.6M12.8 7.2l-5.6 5.6',
  ending: 'M7 10h6',
}

export function icon(tone: Tone): Html {
  return html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="8"/><path d="${trusted(STROKES[tone])}"/></svg>`
}
