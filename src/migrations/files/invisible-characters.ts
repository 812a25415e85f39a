/** Spaces that PostgreSQL does not know, and characters that show nothing or turn the direction of text. */
export const INVISIBLE =
  /[\u00a0\u00ad\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\uffa0]/

/** Whether a text has one of them anywhere, also in quotes, where it is allowed. */
export function mayHaveInvisible(text: string): boolean {
  return INVISIBLE.test(text)
}
