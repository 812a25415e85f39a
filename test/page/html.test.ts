import { test } from 'tap'
import { html, prose, showInvisible } from '../../src/page/html.ts'

test('a template escapes every value, wherever it stands', (t) => {
  const value = `<script>alert("it's") & more`
  t.equal(
    String(html`<a title="${value}">${value}</a>`),
    '<a title="&lt;script&gt;alert(&quot;it&#39;s&quot;) &amp; more">&lt;script&gt;alert(&quot;it&#39;s&quot;) &amp; more</a>',
  )
  t.end()
})

test('only templates make markup: an object of the same form does not', (t) => {
  const forged = JSON.parse('[{"markup":"<b>"}]')
  t.notMatch(String(html`${forged}`), '<b>')
  t.equal(String(html`${html`<b>`}`), '<b>')
  t.end()
})

test('lists are joined, numbers are shown, and what is not there leaves nothing', (t) => {
  t.equal(
    String(html`[${['a', html`<i>`, ['<']]}|${0}|${null}${undefined}${false}]`),
    '[a<i>&lt;|0|]',
  )
  t.end()
})

test('what stands between backquotes is code', (t) => {
  t.equal(String(prose('Set `A<B>` or `C`.')), 'Set <code>A&lt;B&gt;</code> or <code>C</code>.')
  t.end()
})

test('characters that cannot be seen are shown by their numbers', (t) => {
  for (const [given, shown] of [
    ['a\u202Eb', 'a⟨U+202E⟩b'],
    ['\u200F\u2066', '⟨U+200F⟩⟨U+2066⟩'],
    ['\0\u001B\u0085', '⟨U+0000⟩⟨U+001B⟩⟨U+0085⟩'],
    ['x\u200By\uFEFF', 'x⟨U+200B⟩y⟨U+FEFF⟩'],
    ['\uD83D', '⟨U+D83D⟩'],
    ['line\n\ttab', 'line\n\ttab'],
    ['שלום 😀 ﷽', 'שלום 😀 ﷽'],
  ] as const) {
    t.equal(showInvisible(given), shown)
  }
  t.end()
})
