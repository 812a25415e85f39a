/** Whether the environment has this setting; an empty value counts as not set. */
export function isGiven(name: string): boolean {
  return Boolean(process.env[name])
}

/** These variables as the environment of this process has them, for a child process that gets no others. */
export function pickEnvironment(names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(names.map((name) => [name, process.env[name]]))
}

/** The environment of this process with other values of some settings, for a child process. */
export function environmentWith(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...process.env, ...settings }
}
