/**
 * The SQLSTATEs that the service decides on, by PostgreSQL's condition names
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html).
 */
export const SQLSTATE = {
  featureNotSupported: '0A000',
  readOnlySqlTransaction: '25006',
  protocolViolation: '08P01',
  activeSqlTransaction: '25001',
  noActiveSqlTransaction: '25P01',
  idleInTransactionSessionTimeout: '25P03',
  transactionTimeout: '25P04',
  invalidPassword: '28P01',
  invalidAuthorization: '28000',
  invalidCatalogName: '3D000',
  invalidSchemaName: '3F000',
  deadlockDetected: '40P01',
  foreignKeyViolation: '23503',
  dependentObjectsStillExist: '2BP01',
  insufficientPrivilege: '42501',
  undefinedObject: '42704',
  undefinedTable: '42P01',
  invalidFunctionDefinition: '42P13',
  diskFull: '53100',
  outOfMemory: '53200',
  tooManyConnections: '53300',
  configurationLimitExceeded: '53400',
  objectNotInPrerequisiteState: '55000',
  lockNotAvailable: '55P03',
  unsafeNewEnumValueUsage: '55P04',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  cannotConnectNow: '57P03',
  idleSessionTimeout: '57P05',
} as const

/** The reset function's own SQLSTATEs: why it gave up. Nothing is changed then. */
export const RESET_STATE = {
  notDisposable: 'KBRDI',
  noBaseline: 'KBRBA',
  /** Detail: the differences, as JSON. */
  schemaChanged: 'KBRSC',
  /** An object was recreated exactly as it was: the function has to be generated again. */
  stale: 'KBROL',
  /** Detail: the relation that was blocked. Hint: `all`, where even a reader blocks it. */
  locked: 'KBRLK',
} as const
