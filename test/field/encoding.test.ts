// A database in another encoding than UTF-8: row E7.
import pg from 'pg'
import { test } from 'tap'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { loadServer } from '../support/server.ts'
import { startService } from '../support/service.ts'

for (const encoding of ['LATIN1', 'SQL_ASCII']) {
  test(`a database in ${encoding} is refused before anything is written to it`, async (t) => {
    // Only for a name that is free, and that is removed at the end.
    const { name, url } = await createTestDatabase(t, { from: 'empty' })
    const admin = new pg.Client({ connectionString: loadServer().url })
    await admin.connect()
    t.teardown(() => admin.end())
    await admin.query(`drop database ${name} with (force)`)
    await admin.query(
      `create database ${name} encoding '${encoding}' locale_provider libc locale 'C' template template0`,
    )

    const service = startService(t, {
      DATABASE_URL: url,
      MIGRATIONS_DIR: createMigrationsFolder(t, ['create table t ();']),
    })
    const { code } = await service.ended

    t.equal(code, 3)
    t.match(service.log().find(({ level }) => level === 'fatal')?.err, {
      code: 'database_not_utf8',
      message: new RegExp(`UTF8.*${encoding}`),
    })
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    t.teardown(() => client.end())
    const { rows } = await client.query(`select to_regnamespace('graphile_migrate') as found`)
    t.strictSame(rows, [{ found: null }])
  })
}
