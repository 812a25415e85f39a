// What the description says besides what the routes declare.

export const INFO = {
  summary: 'Applies migrations to a PostgreSQL database, and reports whether it is ready.',
  description: `Every error is a problem document (RFC 9457). Its \`code\` never changes its meaning; its
\`detail\` is for people and may be reworded. Clients ignore members that they do not know.

A path that is not described gets 404 with the code \`route_not_found\`, and a method that a path does not
accept gets 405 with the code \`method_not_allowed\` and a header \`Allow\`. Every path that accepts GET
accepts HEAD, too.`,
  license: { name: 'MIT', identifier: 'MIT' },
}

export const TAGS = [
  { name: 'Probes', description: 'For orchestrators and health checks.' },
  { name: 'Status', description: 'For people and monitoring.' },
  { name: 'Reset', description: 'For test runs; off unless it is enabled.' },
  { name: 'Test databases', description: 'For parallel tests; off unless it is enabled.' },
  { name: 'API description', description: 'What you are reading.' },
] as const

const bearer = (setting: string) => ({
  type: 'http',
  scheme: 'bearer',
  description: `The value of \`${setting}\`.`,
})

export const SECURITY_SCHEMES = {
  resetToken: bearer('RESET_TOKEN'),
  testDatabasesToken: bearer('TEST_DATABASES_TOKEN'),
}

/** Every request may have an id, and every answer of a route has it. */
export const REQUEST_ID_PARAMETER = {
  name: 'X-Request-Id',
  in: 'header',
  required: false,
  description:
    'An id for the logs: up to 64 letters, digits, `_`, `.`, `:` and `-`. Any other is replaced.',
  schema: { type: 'string', examples: ['deploy-4711'] },
}

export const REQUEST_ID_HEADER = {
  description: 'The id of the request, as in the log. Missing if the request could not be read.',
  required: false,
  schema: { type: 'string', pattern: '^[\\w.:-]{1,64}$', examples: ['deploy-4711'] },
}
