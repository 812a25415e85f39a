import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'

/** Compiles one changed file of a project at a time: the rest is read once. */
export interface Compiler {
  /** Writes the file's JavaScript into dist/; false, and nothing written, where its types are wrong. */
  compile(path: string, text: string): boolean
}

/** Creates the compiler of the project in `dir`, which has been built. */
export function createCompiler(dir: string): Compiler {
  const configFile = join(dir, 'tsconfig.build.json')
  const config = ts.getParsedCommandLineOfConfigFile(
    configFile,
    {},
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => {} },
  )
  if (config === undefined) throw new Error(`cannot read ${configFile}`)
  const changed = new Map<string, { text: string; version: number }>()
  const service = ts.createLanguageService({
    getCompilationSettings: () => config.options,
    getScriptFileNames: () => config.fileNames,
    getScriptVersion: (name) => String(changed.get(name)?.version ?? 0),
    getScriptSnapshot: (name) => {
      const text =
        changed.get(name)?.text ??
        (ts.sys.fileExists(name) ? readFileSync(name, 'utf8') : undefined)
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
    },
    getCurrentDirectory: () => dir,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: ts.sys.fileExists,
    readFile: ts.sys.readFile,
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
    realpath: ts.sys.realpath ?? ((path) => path),
  })
  return {
    compile(path, text) {
      const name = join(dir, path)
      changed.set(name, { text, version: (changed.get(name)?.version ?? 0) + 1 })
      const wrong = [
        ...service.getSyntacticDiagnostics(name),
        ...service.getSemanticDiagnostics(name),
      ]
      if (wrong.length > 0) return false
      for (const file of service.getEmitOutput(name).outputFiles) {
        if (file.name.endsWith('.js')) {
          ts.sys.createDirectory(dirname(file.name))
          writeFileSync(file.name, file.text)
        }
      }
      return true
    },
  }
}
