import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The folder of the package that a module belongs to: the last `node_modules/NAME` of its path. */
const PACKAGE_FOLDER = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//
const LICENSE_FILE = /^(licen[cs]e|copying|notice)/i

/**
 * Writes `third-party-licenses.txt` into a folder: the license of each package of which a module is bundled
 * there. Nearly all of them ask to be kept with every copy. `modules` are paths from `root`.
 */
export function writeLicenses(root, folder, modules) {
  const folders = new Set(modules.flatMap((path) => PACKAGE_FOLDER.exec(path)?.[1] ?? []))
  const texts = [...folders].map((one) => describePackage(join(root, one)))
  const unique = [...new Set(texts)].sort()
  writeFileSync(join(folder, 'third-party-licenses.txt'), unique.join(`\n${'-'.repeat(80)}\n\n`))
}

function describePackage(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const texts = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && LICENSE_FILE.test(entry.name))
    .map((entry) => readFileSync(join(folder, entry.name), 'utf8').trim())
  return `${[`${name} ${version}, ${license}`, ...texts].join('\n\n')}\n`
}
