/** Without control characters, so that it can be shown on a line. */
export const LABEL = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$'
export const MIGRATION_NUMBER = '^[0-9]{1,9}$'

/** What a text that matches a pattern is, in the words of an error. */
export const MEANINGS: Readonly<Record<string, string>> = {
  [LABEL]: 'a text without control characters',
  [MIGRATION_NUMBER]: 'the number of a migration, such as 000002',
}
