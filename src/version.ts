/** Name and version of the service. The image has no package.json, so a test compares the two. */
export const SERVICE = { name: 'commandbus-db', version: '0.2.0' } as const
