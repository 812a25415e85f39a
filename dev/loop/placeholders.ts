import type { Settings } from 'graphile-migrate'

/** All that the tool replaces: those of `.gmrc`, and its own. */
export function listPlaceholders({
  settings,
  databaseName,
}: {
  readonly settings: Settings & { readonly placeholders: Readonly<Record<string, string>> }
  readonly databaseName: string
}): Readonly<Record<string, string>> {
  return {
    ...settings.placeholders,
    ':DATABASE_NAME': databaseName,
    // The tool takes the name of the database where there is no user in its connection string.
    ':DATABASE_OWNER': settings.databaseOwner ?? databaseName,
  }
}
