import { FINDINGS } from '../status/remedies.ts'
import type { Drift, PageData } from './data.ts'
import { type Html, html, prose } from './html.ts'
import { moment, plural } from './time.ts'

/** How many differences are shown; /status has all. */
const SHOWN = 100

/** How the schema differs from what the migrations made; nothing where it does not, or was not compared yet. */
export function renderDrift({ status: { drift } }: PageData, now: Date): Html | undefined {
  if (drift.inSync === true || drift.checkedAt === null) return undefined
  return html`<section id="drift" aria-labelledby="drift-title">
<h2 id="drift-title">Drift</h2>
<p class="summary">${describeDrift(drift)}, checked ${moment(drift.checkedAt, now)}</p>
${drift.inSync === null && html`<p class="note">${drift.reason ?? prose(FINDINGS.driftUnknown.meaning)} ${prose(FINDINGS.driftUnknown.remedy)}</p>`}
${drift.differences.length > 0 && renderDifferences(drift.differences)}
</section>`
}

/** Returns `no differences`, `3 differences`, `not known`. */
export function describeDrift({ inSync, differences }: Drift): string {
  return inSync === null ? 'not known' : plural(differences.length, 'difference')
}

function renderDifferences(differences: Drift['differences']): Html {
  const more = differences.length - SHOWN
  return html`<section class="scroll" tabindex="0" aria-label="Differences"><table>
<thead><tr><th scope="col">Object</th><th scope="col">Kind</th><th scope="col">Change</th><th scope="col">Detail</th></tr></thead>
<tbody>
${differences.slice(0, SHOWN).map(
  ({
    name,
    kind,
    change,
    detail,
  }) => html`<tr><th scope="row"><bdi>${name}</bdi></th><td>${kind}</td><td>${change}</td><td class="definition" dir="auto">${detail}</td></tr>
`,
)}</tbody></table></section>${more > 0 && html`<p class="note">${plural(more, 'more difference')} in <a href="status">/status</a>.</p>`}`
}
