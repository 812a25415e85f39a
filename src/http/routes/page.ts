import type { FastifyReply, FastifyRequest } from 'fastify'
import { maskTexts } from '../../config/redact.ts'
import type { PageData } from '../../page/data.ts'
import type { Page, Renderer } from '../../page/document.ts'
import type { Readiness } from '../../readiness.ts'
import type { Overview } from '../../status/overview.ts'
import { pageSchema } from '../schemas/page.ts'
import type { Status } from '../schemas/status.ts'
import type { RoutePlugin } from '../typebox.ts'

export interface PageOptions {
  readonly readiness: Pick<Readiness, 'current'>
  readonly readStatus: () => Promise<Status>
  readonly readOverview: () => Promise<Overview>
  readonly mask: (text: string) => string
}

/** The page for people; 200 in every state. What renders it is loaded by the first request. */
export const pageRoute: RoutePlugin<PageOptions> = async (app, options) => {
  const { readiness, readStatus, readOverview, mask } = options
  let render: Renderer | undefined
  // A flood of requests gets the status that was made last, and so the page.
  let last: { readonly status: Status; readonly page: Page } | undefined
  const maskedSchemas = new WeakMap<object, Overview['schemas']>()

  function maskSchemas({ schemas, ...rest }: Overview): Overview {
    const masked = maskedSchemas.get(schemas) ?? (maskTexts(schemas, mask) as typeof schemas)
    maskedSchemas.set(schemas, masked)
    return { ...(maskTexts(rest, mask) as typeof rest), schemas: masked }
  }

  app.get('/', { schema: pageSchema }, async (request, reply) => {
    const { createRenderer, CONTENT_SECURITY_POLICY } = await import('../../page/document.ts')
    render ??= createRenderer()
    const [status, overview] = await Promise.all([readStatus(), readOverview()])
    if (last?.status !== status) {
      const state = readiness.current
      const blockers = (!state.ready && state.blockers) || []
      const shown = maskTexts({ status, blockers }, mask) as Pick<PageData, 'status' | 'blockers'>
      const page = render({ ...shown, overview: maskSchemas(overview) }, new Date())
      last = { status, page }
    }
    reply.header('content-security-policy', CONTENT_SECURITY_POLICY)
    return sendPage(request, reply, last.page)
  })
}

function sendPage({ headers }: FastifyRequest, reply: FastifyReply, { document, etag }: Page) {
  reply.headers({
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    etag,
  })
  if (headers['if-none-match'] === etag) return reply.code(304).send()
  return reply.type('text/html; charset=utf-8').send(document)
}
