/** How a diagram looks, in the colours of the page. */
export const DIAGRAM_STYLE = `\
.diagram { display: block; color: var(--text); }
.diagram.shrinks { max-width: 100%; min-width: 880px; height: auto; }
.diagram text { dominant-baseline: central; direction: ltr; unicode-bidi: isolate; fill: currentColor; font-size: 11px; }
.diagram .name { font-size: 13px; font-weight: 600; }
.diagram .column, .diagram .type { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.diagram .key { font-weight: 600; }
.diagram .mark { font-size: 9px; font-weight: 400; fill: var(--muted); }
.diagram .type { fill: var(--muted); text-anchor: end; }
.diagram .more { text-anchor: start; }
.box { fill: var(--surface); stroke: var(--edge); }
.head { stroke: var(--line); }
.elsewhere .box { stroke-dasharray: 4 3; fill: var(--ground); }
.elsewhere .name { font-weight: 400; }
.edge path { fill: none; stroke: var(--edge); stroke-width: 1.4; }
.edge:hover path { stroke: var(--link); stroke-width: 2; }
`
