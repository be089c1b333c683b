import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { createExpiryJob } from '../../src/jobs/expiry-job.ts';
import { migratedDatabase, newTenant } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { memoryLog } from './support.ts';

const never = new AbortController().signal;
const MARGIN_SECONDS = 300;
const DAY_SECONDS = 86_400;
/** Of slot 3: the hashes from 0x60 on. */
const SLOT = 3;

describe('expiry job on slots', () => {
  let own: OwnDatabase;
  let db: Knex;
  let tenantId: string;

  beforeEach(async () => {
    own = await migratedDatabase();
    db = own.db;
    tenantId = (await newTenant(db)).id;
  });

  afterEach(() => own.drop());

  /** @param age seconds since the rows expired; negative while they live */
  async function insert(model: string, age: number, count = 1, columns: object = {}): Promise<void> {
    const rows = Array.from({ length: count }, () => {
      const hash = randomBytes(32);
      hash[0] = SLOT * 32;
      return {
        tenant_id: tenantId,
        model,
        id_hash: hash,
        payload: {},
        expires_at: db.raw('now() - make_interval(secs => ?)', [age]),
        ...columns,
      };
    });
    await db('oidc_models').insert(rows);
  }

  const count = async (model: string) =>
    Number((await db('oidc_models').where({ model }).count({ count: '*' }))[0]?.['count']);

  const job = (log = memoryLog().log) =>
    createExpiryJob({ db, log, refreshAbsoluteSeconds: 6 * DAY_SECONDS });

  /** Statements that remove tokens, while the work runs. */
  async function removalsOf(work: () => Promise<unknown>): Promise<string[]> {
    const texts: string[] = [];
    const collect = (
      _response: unknown,
      { sql, response }: { sql: string; response: { rowCount: number } },
    ) => {
      if (sql.startsWith('TRUNCATE') || (sql.startsWith('DELETE') && response.rowCount > 0)) texts.push(sql);
    };
    db.on('query-response', collect);
    await work();
    db.removeListener('query-response', collect);
    return texts;
  }

  for (const [model, table] of [
    ['AccessToken', 'oidc_models_tokens_3'],
    ['AuthorizationCode', 'oidc_models_tokens_3'],
    ['ClientCredentials', 'oidc_models_tokens_3'],
    ['RefreshToken', 'oidc_models_refresh_tokens_3'],
  ] as const) {
    it(`empties a slot of ${model} rows in one step once all have expired`, async () => {
      await insert(model, MARGIN_SECONDS + 60, 600);
      const { log, lines } = memoryLog();

      const removals = await removalsOf(() => job(log).run(never));

      assert.deepEqual(removals, [`TRUNCATE ${table}`]);
      assert.equal(await count(model), 0);
      assert.deepEqual(
        lines().map(({ msg, table: named }) => [msg, named]),
        [['expired slot emptied', table]],
      );
    });
  }

  it('keeps all of a slot while one row of it lives, or has not been dead for the margin', async () => {
    for (const age of [-60, MARGIN_SECONDS - 60]) {
      await insert('AccessToken', MARGIN_SECONDS + 60, 5);
      await insert('AccessToken', age);

      assert.deepEqual(await removalsOf(() => job().run(never)), []);
      assert.equal(await count('AccessToken'), 6);
      await db('oidc_models').where({ model: 'AccessToken' }).delete();
    }
  });

  it('keeps consumed and dead rows, which refuse replays, until they have expired', async () => {
    await insert('RefreshToken', -60, 1, { consumed_at: new Date(), dead_at: new Date() });
    await insert('AuthorizationCode', -60, 1, { consumed_at: new Date() });

    await job().run(never);

    assert.deepEqual([await count('RefreshToken'), await count('AuthorizationCode')], [1, 1]);
  });

  it('removes row by row what expired longer ago than a slot lasts, where others of the slot live', async () => {
    await insert('AccessToken', DAY_SECONDS / 6 + MARGIN_SECONDS + 60, 700);
    await insert('AccessToken', DAY_SECONDS / 6);
    await insert('AccessToken', -60);
    await insert('RefreshToken', DAY_SECONDS + MARGIN_SECONDS + 60);
    await insert('RefreshToken', DAY_SECONDS);
    await insert('RefreshToken', -60);

    await job().run(never);

    assert.deepEqual([await count('AccessToken'), await count('RefreshToken')], [2, 2]);
  });

  it('leaves a slot in use alone, waits a moment only, and loses nothing that is being stored', async () => {
    await insert('AccessToken', MARGIN_SECONDS + 60, 5);

    await db.transaction(async (trx) => {
      await trx('oidc_models').insert({
        tenant_id: tenantId,
        model: 'AccessToken',
        id_hash: Buffer.alloc(32, SLOT * 32),
        payload: {},
        expires_at: db.raw("now() + interval '1 minute'"),
      });
      const startedAt = performance.now();
      await job().run(never);
      assert.ok(performance.now() - startedAt < 2000);
    });
    await job().run(never);

    assert.equal(await count('AccessToken'), 6);
  });

  it('empties a slot once, however many processes try at once', async () => {
    await insert('AccessToken', MARGIN_SECONDS + 60, 50);

    const removals = await removalsOf(() =>
      Promise.all([job().run(never), job().run(never), job().run(never)]),
    );

    assert.deepEqual(removals, ['TRUNCATE oidc_models_tokens_3']);
    assert.equal(await count('AccessToken'), 0);
  });

  it('finds out by the index, however full the slot is', async () => {
    await insert('AccessToken', -60, 1000);

    const { rows } = await db.raw('EXPLAIN SELECT max(expires_at) FROM oidc_models_tokens_3');

    const plan = rows.map((row: Record<string, string>) => row['QUERY PLAN']).join('\n');
    assert.match(plan, /Index Only Scan Backward using oidc_models_tokens_3_expires_at_idx/);
  });
});
