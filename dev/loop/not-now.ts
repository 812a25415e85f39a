/** Nothing was applied: the database was not there, or another session was migrating it. */
export class NotNowError extends Error {}
