/** Quotes text as an SQL literal. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** Quotes texts as an SQL array of type text[]. */
export function textArray(texts: readonly string[]): string {
  return `array[${texts.map(literal).join(', ')}]::text[]`
}
