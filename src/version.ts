/** Who answers; a test keeps the version equal to package.json's, which the image does not hold. */
export const SERVICE = { name: 'commandbus-db', version: '0.1.0' } as const
