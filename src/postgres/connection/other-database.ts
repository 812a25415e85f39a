import { type Address, parseConnectionUrl } from './url.ts'

/** Parameters that would say again what stands before the query. */
const LOGIN = ['user', 'password', 'dbname']
const PLACE = ['host', 'port', 'hostaddr']

/**
 * The connection string of another database on the same server, with the same login and parameters.
 * `address` is where its readers reach the server; by default, where the given one does. User and password
 * are percent-encoded, so that every driver reads them the same way.
 */
export function urlOfDatabase(url: string, database: string, address?: Address): string {
  const { user, password } = parseConnectionUrl(url)
  const [, scheme = '', authority = '', query = ''] =
    /^(postgres(?:ql)?:\/\/)([^/?]*)(?:\/[^?]*)?(?:\?(.*))?$/s.exec(url) ?? []
  const given = authority.slice(authority.lastIndexOf('@') + 1)
  const replaced = address === undefined ? LOGIN : [...LOGIN, ...PLACE]
  const parameters = query
    .split('&')
    .filter((parameter) => parameter !== '' && !replaced.includes(parameter.split('=')[0] ?? ''))
  const secret = password === '' ? '' : `:${encodeURIComponent(password)}`
  const place = address === undefined ? given : writeAddress(address)
  const rest = parameters.length > 0 ? `?${parameters.join('&')}` : ''
  return `${scheme}${encodeURIComponent(user)}${secret}@${place}/${encodeURIComponent(database)}${rest}`
}

function writeAddress({ host, port }: Address): string {
  const name = host.includes(':') ? `[${host}]` : encodeURIComponent(host)
  return `${name}:${port}`
}
