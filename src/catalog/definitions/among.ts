/** True for an object whose `name` is in `objects`, or where that is null; both are expressions. */
export function isAmong(objects: string, name: string): string {
  return `(${objects} is null or ${name} = any (${objects}))`
}
