import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { SslMode, TlsSettings } from './url.ts'

/** Whether one attempt to connect uses TLS. */
export type TlsUse = 'no' | 'if offered' | 'yes'

/** The attempts that an `sslmode` makes; a later one only where the one before it was rejected. */
export function listTlsAttempts(mode: SslMode): readonly TlsUse[] {
  if (mode === 'disable') return ['no']
  if (mode === 'allow') return ['no', 'yes']
  if (mode === 'prefer') return ['if offered', 'no']
  return ['yes']
}

/** The server's certificate, or the lack of TLS, does not satisfy `sslmode`. */
export class TlsError extends Error {}

/**
 * Node.js's options for one host. As with PostgreSQL's own library, a certificate is verified in every
 * mode where `sslrootcert` is given; where it is not, `require` and weaker modes trust any certificate.
 */
export async function readTlsOptions(tls: TlsSettings, host: string): Promise<ConnectionOptions> {
  const isVerified =
    tls.mode === 'verify-full' || tls.mode === 'verify-ca' || tls.rootCertificate !== undefined
  const read = (path: string | undefined) => (path === undefined ? undefined : readFile(path))
  const [ca, cert, key, crl] = await Promise.all([
    read(tls.rootCertificate === 'system' ? undefined : tls.rootCertificate),
    read(tls.certificate),
    read(tls.key),
    read(tls.revocationList),
  ])
  return {
    host,
    rejectUnauthorized: isVerified,
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(crl && { crl }),
    ...(tls.keyPassword !== undefined && { passphrase: tls.keyPassword }),
    ...(tls.minVersion && { minVersion: tls.minVersion }),
    ...(tls.maxVersion && { maxVersion: tls.maxVersion }),
    // An address is never sent as a server name (RFC 6066).
    ...(isIP(host) === 0 && tls.sendsServerName && { servername: host }),
    ...(tls.negotiation === 'direct' && { ALPNProtocols: ['postgresql'] }),
    ...(tls.mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
  }
}

/** What Node.js reports about a certificate that it does not trust; the rest begins with `ERR_TLS` or `CERT_`. */
const CERTIFICATE_ERRORS: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** Whether TLS itself failed, rather than the network below it. */
export function isTlsFailure(error: unknown): boolean {
  if (error instanceof TlsError) return true
  const { code } = error as { code?: unknown }
  if (typeof code !== 'string') return false
  return /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|CRL_)/.test(code) || CERTIFICATE_ERRORS.has(code)
}

/** What to do about a failure of TLS. */
export function tlsRemedy(error: unknown, { mode, rootCertificate }: TlsSettings): string {
  const { code } = error as { code?: unknown }
  if (error instanceof TlsError) {
    return `turn on ssl in the server, or choose a weaker sslmode than ${mode} (sslrootcert has no effect without TLS)`
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return 'name the host as the certificate does; sslmode=verify-ca checks only its authority, by sslrootcert'
  }
  return rootCertificate === undefined
    ? 'name the file with the certificate of its authority as sslrootcert in DATABASE_URL'
    : 'sslrootcert in DATABASE_URL has to name the file with the certificate of its authority'
}
