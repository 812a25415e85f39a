/**
 * Replaces what differs between two runs of the same commands with fixed values: times of day, durations, process ids,
 * hashes of git, ports, the version of Node.js, and the folder.
 */
export function normalize(text: string, dir: string): string {
  const pids = new Map<string, string>()
  const nameOf = (pid: string) => {
    const name = pids.get(pid) ?? String(4711 + pids.size)
    pids.set(pid, name)
    return name
  }
  const named = text
    .replaceAll(dir, '/home/you/commandbus-db')
    .replaceAll(/^\[\d\d:\d\d:\d\d\]/gm, '[09:05:07]')
    .replaceAll(/\b(?:\d+ ms|\d+(?:\.\d+)? s)\b/g, '150 ms')
    .replaceAll(/\bnode v[\d.]+/g, 'node v20')
    .replaceAll(/(127\.0\.0\.1:)\d+/g, '$18080')
    .replaceAll(/\bport \d+/g, 'port 54329')
    .replaceAll(/(?<=session )\d+|(?<=^ {4})\d+(?= (?:idle|active))/gm, nameOf)
    .replaceAll(/(?<=^\[[\w-]+ )[0-9a-f]{7,}(?=\])/gm, '1a2b3c4')
    .replaceAll(/\bversion \d+\.\d+\.\d+/g, 'version 0.2.0')
    // How many tests mention a procedure changes every week.
    .replaceAll(/^((?:tests)? +)\d+ (mention .*: npm test -- \S+).*$/gm, '$120 $2 …')
  return named.replaceAll(/(?:^ {4}\d+ (?:idle|active).*\n)+/gm, sortLines)
}

/** Which of two sessions was opened first is chance. */
function sortLines(lines: string): string {
  const sorted = lines.trimEnd().split('\n').sort()
  return `${sorted.join('\n')}\n`
}

/** Leaves out what npm prints in front of a script, and its spinner. */
export function withoutNpm(text: string): string {
  return text
    .replaceAll(/^> .*\n/gm, '')
    .replaceAll(/^[\u2800-\u28ff]+\s*$/gm, '')
    .replaceAll(/\n{2,}/g, '\n')
    .replaceAll(/^\n+|\s+$/g, '')
}
