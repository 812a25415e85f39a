import { ServiceError } from './service-error.ts'

/** One wrong setting: what was given (never the value of a secret) and what was expected. */
export interface SettingProblem {
  readonly name: string
  readonly given: string
  readonly expected: string
}

/** The error for settings that do not parse, from the environment or from a file. */
export function wrongSettingsError(problems: readonly SettingProblem[]): ServiceError {
  const lines = problems.map(
    ({ name, given, expected }) => `${name}: given ${given}, expected ${expected}`,
  )
  return new ServiceError('wrong_settings', lines.join('; '), { extensions: { problems } })
}
