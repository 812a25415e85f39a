import { COLOURS } from './colours.ts'
import { DIAGRAM_STYLE } from './diagram/style.ts'

/** The style sheet of the page: one column on a phone, two on a desk; light, dark and on paper. */
export const STYLE = `
${COLOURS}
*, *::before, *::after { box-sizing: border-box; }
html { --inset: clamp(1.1rem, 4vw, 2.25rem); font: 100%/1.55 Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 0 clamp(1rem, 4vw, 3rem); max-width: 82rem; background: var(--ground); color: var(--text); overflow-wrap: anywhere; }
h1, h2, h3, p, ul, ol, dl, dd, table { margin: 0; padding: 0; font-size: 1rem; font-weight: inherit; }
ul, ol { list-style: none; }
a { color: var(--link); text-underline-offset: 0.18em; text-decoration-thickness: 1px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 3px; border-radius: 3px; }
code, .type, .definition, .address, .number { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.86em; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: 0.5rem; background: var(--surface); padding: 0.25rem 0.75rem; }

header { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0.25rem 1.5rem; padding: 1.5rem 0 1.25rem; font-size: 0.9rem; }
.brand { font-weight: 600; font-size: 0.9rem; }
header ul { display: flex; gap: 1.25rem; }

.lost:not(:empty) { margin-bottom: 1rem; padding: 0.75rem 1.25rem; border-radius: 10px; background: var(--bad); color: var(--surface); font-weight: 550; }
.is-lost main { filter: grayscale(1); }
.is-lost .state { opacity: 0.85; }

.tone-good { --tone: var(--good); --tint: var(--good-tint); }
.tone-busy { --tone: var(--busy); --tint: var(--busy-tint); }
.tone-waiting { --tone: var(--waiting); --tint: var(--waiting-tint); }
.tone-bad { --tone: var(--bad); --tint: var(--bad-tint); }
.tone-ending { --tone: var(--muted); --tint: var(--line); }
.icon { width: 1.25rem; height: 1.25rem; vertical-align: -0.28rem; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }

.state { padding: var(--inset); border-radius: 16px; background: var(--tint); }
.state > * + * { margin-top: 1.25rem; }
.tone-word { color: var(--tone); font-size: 0.9rem; font-weight: 600; }
h1 { margin: 0.5rem 0 0.5rem; font-size: clamp(1.9rem, 6vw, 2.75rem); font-weight: 680; line-height: 1.12; letter-spacing: -0.022em; text-wrap: balance; }
.meaning { max-width: 44rem; font-size: 1.0625rem; text-wrap: pretty; }
.detail { margin-top: 1rem; padding: 0.1rem 0 0.1rem 0.9rem; border-left: 3px solid var(--tone); max-width: 60rem; white-space: pre-wrap; font-size: 0.95rem; }
.remedy h2 { font-size: 0.9rem; font-weight: 600; }
.remedy p { max-width: 44rem; }
.progress { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem 1rem; font-size: 0.95rem; font-variant-numeric: tabular-nums; }
progress { appearance: none; flex: 0 1 22rem; width: 22rem; height: 8px; border: 0; border-radius: 4px; overflow: hidden; background: var(--track); }
progress::-webkit-progress-bar { background: var(--track); }
progress::-webkit-progress-value { background: var(--tone); border-radius: 4px; }
progress::-moz-progress-bar { background: var(--tone); }
.finding { margin-top: 0.75rem; padding-block: 1rem; border-radius: 16px; background: var(--tint); font-size: 0.95rem; }
.finding h2 { color: var(--tone); font-size: 1rem; font-weight: 600; letter-spacing: 0; }
.finding p { max-width: 52rem; margin-top: 0.2rem; }

.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: 1.25rem 1.5rem; padding: 1.75rem var(--inset); border-bottom: 1px solid var(--line); }
dt { color: var(--muted); font-size: 0.85rem; }
.facts dd { font-size: 1.2rem; font-weight: 600; letter-spacing: -0.01em; line-height: 1.4; }
.facts dd.note { font-size: 0.85rem; font-weight: 400; letter-spacing: 0; }
.note, .summary, .type, .when, .exact { color: var(--muted); }
.note, .summary { font-size: 0.9rem; }
.facts .exact { display: none; }
.line { display: block; }

main > section { padding-inline: var(--inset); }
main > section:not(.state, .finding) { padding-block: 1.75rem; }
section > h2 { font-size: 1.35rem; font-weight: 650; letter-spacing: -0.015em; line-height: 1.3; }
h3 { font-size: 1.1rem; font-weight: 620; }
.schema { margin-top: 1rem; }
.schema + .schema { margin-top: 1.75rem; padding-top: 1.75rem; border-top: 1px solid var(--line); }
.comment { display: block; margin-top: 0.4rem; max-width: 48rem; font-size: 0.95rem; font-weight: 400; }

.timeline { margin-top: 1.25rem; }
.timeline li { position: relative; padding: 0 0 1.35rem 1.6rem; }
.timeline li::before { content: ""; position: absolute; left: 0.2rem; top: 0.42rem; width: 0.7rem; height: 0.7rem; border-radius: 50%; background: var(--good); }
.timeline li::after { content: ""; position: absolute; left: 0.5rem; top: 1.3rem; bottom: -0.25rem; width: 1.5px; background: var(--line); }
.timeline li:last-child::after { display: none; }
@media (min-width: 48rem) {
  .timeline { display: grid; grid-template-columns: repeat(auto-fill, minmax(14.5rem, 1fr)); row-gap: 1.75rem; }
  .timeline li { padding: 1.5rem 1.75rem 0 0; }
  .timeline li::before { left: 0; top: 0; }
  .timeline li::after { left: 1rem; right: 0.3rem; top: 0.3rem; bottom: auto; width: auto; height: 1.5px; }
}
.timeline .pending::before { background: var(--ground); border: 2px solid var(--muted); }
.timeline .running::before { background: var(--busy); box-shadow: 0 0 0 4px var(--busy-tint); }
.timeline .failed::before { background: var(--bad); border-radius: 2px; }
.running .when { color: var(--busy); font-weight: 600; }
.failed .when { color: var(--bad); font-weight: 600; }
.name { font-weight: 600; line-height: 1.4; }
.number { color: var(--muted); font-weight: 400; }
.message, .when { font-size: 0.9rem; }
.exact { display: block; font-size: 0.8rem; font-variant-numeric: tabular-nums; }
.summary .exact { display: inline; margin-left: 0.5em; }

.scroll { overflow-x: auto; margin-top: 1rem; }
.state .scroll { max-width: 52rem; }
${DIAGRAM_STYLE}
details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--link); font-size: 0.95rem; width: fit-content; }
table { width: 100%; border-collapse: collapse; font-size: 0.9rem; }
caption { padding-bottom: 0.35rem; text-align: left; font-weight: 600; }
th, td { padding: 0.5rem 1.25rem 0.5rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
.state th, .state td { border-color: var(--track); }
thead th { border-top: 0; color: var(--muted); font-size: 0.85rem; font-weight: 400; }
tbody th { font-weight: 600; min-width: 9rem; }
td { min-width: 7rem; }
td ul { display: flex; flex-wrap: wrap; gap: 0.1rem 1.25rem; min-width: 12rem; font-size: inherit; }
.definition { white-space: pre-wrap; }
.routines > div { padding: 0.7rem 0; border-top: 1px solid var(--line); }
.routines > div:first-child { border-top: 0; }
.routines dt { color: var(--text); font-size: 0.95rem; }
.routines code bdi:first-child { font-weight: 600; }
.routines dd { margin-top: 0.15rem; max-width: 48rem; font-size: 0.9rem; }

footer { padding: 1.5rem 0 2.5rem; border-top: 1px solid var(--line); color: var(--muted); font-size: 0.85rem; }

@media print {
  html { font-size: 80%; }
  body { max-width: none; padding: 0; }
  nav, .skip, summary, #updates { display: none; }
  .state, .finding { border: 1px solid var(--tone); }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  .scroll { overflow: visible; }
  .diagram { max-width: 100%; height: auto; }
  li, tr, .routines > div, .state { break-inside: avoid; }
}
`
