import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { describeSchema } from '../../src/db/describe-schema.ts';
import { migrateDown, migrateUp, migrationStatus } from '../../src/db/migrator.ts';
import { newId } from '../../src/lib/ids.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';

const NAME = '202611252205-slot-token-tables';
const TENANT = newId();
const MODELS = [
  'AccessToken',
  'AuthorizationCode',
  'ClientCredentials',
  'RefreshToken',
  'Interaction',
  'Grant',
];

describe('the migration to slots', function () {
  this.timeout(30_000);
  let own: OwnDatabase;
  let db: Knex;

  beforeEach(async () => {
    own = await migratedDatabase();
    db = own.db;
  });

  afterEach(() => own.drop());

  async function toTheVersionBefore(): Promise<void> {
    while ((await migrationStatus(db)).applied.includes(NAME)) await migrateDown(db);
  }

  /** As the version before wrote them, into whatever parts there are. */
  async function insertRows(): Promise<void> {
    for (const model of MODELS) {
      for (let index = 0; index < 20; index += 1) {
        await db.raw(
          `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, expires_at, consumed_at)
           SELECT ?::uuid, ?, ?::bytea, ?::jsonb, now() + interval '1 hour', ?::timestamptz
           ON CONFLICT (tenant_id, model, id_hash) DO UPDATE SET payload = excluded.payload WHERE oidc_models.dead_at IS NULL`,
          [TENANT, model, randomBytes(32), { index }, index % 2 === 0 ? new Date() : null],
        );
      }
    }
  }

  const rows = () => db('oidc_models').select('*').orderBy(['model', 'id_hash']);

  it('keeps every row, up, down and up again, and removes what had expired', async () => {
    await toTheVersionBefore();
    await insertRows();
    await db('oidc_models').insert({
      tenant_id: TENANT,
      model: 'AccessToken',
      id_hash: randomBytes(32),
      payload: {},
      expires_at: db.raw("now() - interval '1 hour'"),
    });
    const before = (await rows()).filter(({ expires_at }) => expires_at > new Date());
    const schemaBefore = await describeSchema(db);
    assert.equal(before.length, MODELS.length * 20);

    await migrateUp(db);
    const slotted = await rows();
    await toTheVersionBefore();
    const undone = await rows();
    const schemaUndone = await describeSchema(db);
    await migrateUp(db);

    assert.deepEqual(slotted, before);
    assert.deepEqual(undone, before);
    assert.equal(schemaUndone, schemaBefore);
    assert.deepEqual(await rows(), before);
  });

  it('leaves the statements of the version before working: insert, conflict, look-up, use', async () => {
    await insertRows();
    const [row] = await rows();
    const token = (await rows()).find(({ model, consumed_at }) => model === 'RefreshToken' && !consumed_at);

    const again = await db.raw(
      `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, expires_at)
       SELECT ?::uuid, ?, ?::bytea, '{"again": true}', now() + interval '1 hour'
       ON CONFLICT (tenant_id, model, id_hash) DO UPDATE SET payload = excluded.payload WHERE oidc_models.dead_at IS NULL`,
      [TENANT, row.model, row.id_hash],
    );
    const use = () =>
      db.raw(
        `UPDATE oidc_models SET consumed_at = clock_timestamp()
          WHERE tenant_id = ? AND model = 'RefreshToken' AND id_hash = ? AND consumed_at IS NULL`,
        [TENANT, token.id_hash],
      );
    const uses = await Promise.all([use(), use(), use()]);

    assert.equal(again.rowCount, 1);
    assert.equal((await rows()).length, MODELS.length * 20);
    assert.equal(
      uses.reduce((sum, { rowCount }) => sum + rowCount, 0),
      1,
    );
  });
});
