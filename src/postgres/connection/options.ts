/**
 * The settings in the connection parameter `options`, which PostgreSQL reads like a command line: words
 * between blanks, a backslash before what is meant literally, `-c NAME=VALUE` or `--NAME=VALUE`. Returns
 * undefined for anything else.
 */
export function parseOptions(text: string): Readonly<Record<string, string>> | undefined {
  const settings: Record<string, string> = {}
  const words = splitWords(text)
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ''
    let setting: string
    if (word === '-c') setting = words[++index] ?? ''
    else if (word.startsWith('-c') || word.startsWith('--')) setting = word.slice(2)
    else return undefined
    const [, name, value] = /^([A-Za-z_][\w.-]*)=(.*)$/s.exec(setting) ?? []
    if (name === undefined || value === undefined) return undefined
    settings[name.replaceAll('-', '_')] = value
  }
  return settings
}

function splitWords(text: string): string[] {
  const words = text.match(/(?:\\.|[^\\\s])+/gs) ?? []
  return words.map((word) => word.replace(/\\(.)/gs, '$1'))
}
