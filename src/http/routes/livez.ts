import type { FastifyPluginAsync } from 'fastify'

/** Answers while the process serves; never looks at the database. */
export const livezRoute: FastifyPluginAsync = async (app) => {
  app.get('/livez', async () => ({ status: 'live' }))
}
