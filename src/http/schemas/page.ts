import { Type } from 'typebox'

const pageHeaders = {
  ETag: Type.String({ description: 'Changes with what the page says.' }),
  'Cache-Control': Type.Literal('no-store'),
  'Content-Security-Policy': Type.String({
    description: 'Nothing but the style and the script of the page itself.',
  }),
}

export const pageSchema = {
  tags: ['Status'],
  operationId: 'getPage',
  summary: 'A page for people',
  description:
    'State, migrations, schemas and what to do, as one HTML document that needs nothing else. Answers in ' +
    'every state; without a database, with the last known facts.',
  response: {
    200: { description: 'The page.', content: { 'text/html': { schema: Type.String() } } },
    304: Type.Null({ description: 'The page has the `ETag` of `If-None-Match`.' }),
  },
  responseHeaders: { 200: pageHeaders },
} as const
