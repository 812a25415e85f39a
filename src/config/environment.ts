/** The names among these of settings that the environment has; an empty value counts as not set. */
export function listGiven<Name extends string>(
  names: readonly Name[],
  env: NodeJS.ProcessEnv = process.env,
): ReadonlySet<Name> {
  return new Set(names.filter((name) => env[name]))
}

/** These variables as the environment of this process has them, for a child process that gets no others. */
export function pickEnvironment(names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(names.map((name) => [name, process.env[name]]))
}

/** The environment of this process with other values of some settings, for a child process. */
export function environmentWith(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...process.env, ...settings }
}
