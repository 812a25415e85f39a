const LIGHT = `
--ground: #fafaf8; --surface: #ffffff; --text: #1c1f24; --muted: #5a616c; --line: #e3e3df; --edge: #9aa1ab;
--track: #0000001a; --link: #1f56b3;
--good: #11683f; --good-tint: #e6f3ea; --busy: #1c4fb4; --busy-tint: #e6eefb;
--waiting: #865000; --waiting-tint: #fbf0dc; --bad: #ab261d; --bad-tint: #fbe8e5;`

const DARK = `
--ground: #111316; --surface: #191c20; --text: #e6e8eb; --muted: #a1a8b3; --line: #2a2e34; --edge: #69717d;
--track: #ffffff26; --link: #8db6ff;
--good: #6fd09b; --good-tint: #14271d; --busy: #8db4ff; --busy-tint: #16223a;
--waiting: #efbb69; --waiting-tint: #2c2312; --bad: #ff9e95; --bad-tint: #371a18;`

/** The colours of the page as custom properties; paper is light. Every text on its ground has 4.5 : 1 or more. */
export const COLOURS = `
:root { color-scheme: light; ${LIGHT} }
@media screen and (prefers-color-scheme: dark) { :root { color-scheme: dark; ${DARK} } }
`
