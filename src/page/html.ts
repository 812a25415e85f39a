/** Markup that is safe to show. Only this module makes it, so text from elsewhere cannot pass for it. */
export class Html {
  readonly #markup: string
  constructor(markup: string) {
    this.#markup = markup
  }
  toString(): string {
    return this.#markup
  }
}

/** What a template may contain: text is escaped, lists are joined, and what is not there leaves nothing. */
export type Content = Html | string | number | null | undefined | false | readonly Content[]

/** A template of markup in which every value is escaped, unless it is markup itself. */
export function html(template: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(
    template.reduce((markup, part, index) => markup + render(values[index - 1]) + part),
  )
}

/** Takes a constant of our own, such as the style sheet, as markup. Never call it with data. */
export function trusted(markup: string): Html {
  return new Html(markup)
}

/** Our own texts: what stands between backquotes becomes code. */
export function prose(text: string): Html {
  return html`${text.split('`').map((part, index) => (index % 2 === 0 ? part : html`<code>${part}</code>`))}`
}

function render(value: Content): string {
  if (value === null || value === undefined || value === false) return ''
  if (value instanceof Html) return value.toString()
  if (Array.isArray(value)) return value.map(render).join('')
  return escapeText(String(value))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeText(text: string): string {
  return showInvisible(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

/**
 * Control characters that HTML forbids, halves of surrogates, and characters that cannot be seen, among
 * them those that turn the direction of writing: a name must not look like another.
 */
const INVISIBLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u00AD\u200B\u2060\uFEFF\uFFFE\uFFFF\uD800-\uDFFF]|\p{Bidi_Control}/gu

/** Replaces what cannot be seen by its number, such as `⟨U+202E⟩`. */
export function showInvisible(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const number = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')
    return `⟨U+${number}⟩`
  })
}
