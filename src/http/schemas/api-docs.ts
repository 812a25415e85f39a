import { Type } from 'typebox'
import { problemResponses } from './problem.ts'

const NotModified = Type.Null({ description: 'The file has the `ETag` of `If-None-Match`.' })

const cacheHeaders = {
  ETag: Type.String({ description: 'Changes with the content.' }),
  'Cache-Control': Type.Literal('no-cache'),
}

export const openApiSchema = {
  tags: ['API description'],
  summary: 'This description, as OpenAPI 3.1',
  description: 'Made from the routes when the service is built.',
  response: {
    200: Type.Object(
      { openapi: Type.Literal('3.1.0') },
      { additionalProperties: true, description: 'An OpenAPI description.' },
    ),
    304: NotModified,
  },
  responseHeaders: { 200: cacheHeaders },
} as const

export const docsSchema = {
  tags: ['API description'],
  summary: 'A page to read this description',
  description: 'Loads nothing from elsewhere.',
  response: {
    200: { description: 'The page.', content: { 'text/html': { schema: Type.String() } } },
    304: NotModified,
  },
  responseHeaders: { 200: cacheHeaders },
} as const

export const docsFileSchema = {
  tags: ['API description'],
  summary: 'A script or a style sheet of the page',
  params: Type.Object({
    file: Type.String({ examples: ['start.js'], description: 'The name of the file.' }),
  }),
  response: {
    200: { description: 'The file.', content: { 'text/*': { schema: Type.String() } } },
    304: NotModified,
    ...problemResponses('route_not_found'),
  },
  responseHeaders: { 200: cacheHeaders },
} as const
