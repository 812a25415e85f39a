import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { Queryable } from '../../client/client.ts'

const names = new Map<string, string>()

/** A client whose statements are prepared once a connection and then only bound. */
export function prepared(client: pg.ClientBase): Queryable {
  return {
    query: ({ text, values }) => client.query({ name: nameOf(text), text, values }),
  }
}

function nameOf(text: string): string {
  let name = names.get(text)
  if (name === undefined) {
    name = createHash('sha1').update(text).digest('hex')
    names.set(text, name)
  }
  return name
}
