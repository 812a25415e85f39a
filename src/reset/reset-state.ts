/** SQLSTATEs by which the function says why it gave up; nothing is changed then. */
export const RESET_STATE = {
  notDisposable: 'KBRDI',
  noBaseline: 'KBRBA',
  /** Detail: the differences, as JSON. */
  schemaChanged: 'KBRSC',
  /** An object was made anew, just as it was: the function has to be written anew. */
  stale: 'KBROL',
  /** Detail: the relation that was in the way. Hint: `all`, where even a reader is. */
  locked: 'KBRLK',
} as const
