import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Knex } from 'knex';
import { createExpiryJob, EXPIRING_TABLES, expirySql } from '../../src/jobs/expiry-job.ts';
import { newId } from '../../src/lib/ids.ts';
import { allSlots } from '../../src/oidc/adapter/token-slots.ts';
import { migratedDatabase, newTenant } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { memoryLog } from './support.ts';

const never = new AbortController().signal;
const MARGIN_SECONDS = 300;

type Table = (typeof EXPIRING_TABLES)[number];

const MODELS: Partial<Record<Table, string>> = {
  oidc_models_grants: 'Grant',
  oidc_models_sessions: 'Session',
  oidc_models_ephemeral: 'Interaction',
};

describe('expiry job', () => {
  let own: OwnDatabase;
  let db: Knex;
  let tenantId: string;
  let userId: string;

  // It removes rows of every tenant, so it has a database for itself.
  beforeEach(async () => {
    own = await migratedDatabase();
    db = own.db;
    tenantId = (await newTenant(db)).id;
    userId = newId();
    await db('users').insert({ id: userId, tenant_id: tenantId, email: 'ana@example.com' });
  });

  afterEach(async () => {
    await own.drop();
  });

  /** @param age seconds since the row expired; negative while it lives */
  async function insert(table: Table, age: number, columns: Record<string, unknown> = {}): Promise<void> {
    const row = {
      tenant_id: tenantId,
      expires_at: db.raw('now() - make_interval(secs => ?)', [age]),
      ...columns,
    };
    const hash = randomBytes(32);
    if (MODELS[table]) {
      await db(table).insert({
        ...row,
        model: MODELS[table],
        id_hash: hash,
        payload: {},
        session_uid: hash.toString('hex'),
      });
    } else if (table === 'one_time_tokens') {
      await db(table).insert({ ...row, id: newId(), purpose: 'test', token_hash: hash });
    } else if (table === 'mails') {
      const id = newId();
      const mail = { template: 'sign_up', locale: 'en', idempotency_key: id, is_requested: true };
      await db(table).insert({ ...row, ...mail, id, recipient: 'ana@example.com' });
    } else if (table === 'user_sessions') {
      await db(table).insert({
        ...row,
        id: newId(),
        user_id: userId,
        session_uid: hash.toString('hex'),
        device_kind: 'other',
        ends_at: new Date(),
      });
    } else if (table === 'data_exports') {
      const made = { ready_at: new Date(), content_sealed: 'x' };
      await db(table).insert({ ...row, ...made, id: newId(), user_id: userId, locale: 'en' });
    } else if (table === 'import_jobs') {
      await db(table).insert({ ...row, id: newId(), status: 'done', source_hash: hash });
    } else if (table === 'import_faults') {
      const fault = { position: hash.readUInt32BE(), line: 1, code: 'test', message: 'x' };
      await db(table).insert({ ...row, ...fault, job_id: await importJob() });
    } else if (table === 'login_states') {
      await db(table).insert({ ...row, id_hash: hash, client_id: 'app', state_sealed: 'x' });
    } else {
      const rest = table === 'idempotency_keys' ? { request_hash: hash } : {};
      await db(table).insert({ ...row, id_hash: hash, ...rest });
    }
  }

  /** That keeps its faults, whatever becomes of them. */
  async function importJob(): Promise<string> {
    const id = newId();
    const job = { id, tenant_id: tenantId, status: 'done', source_hash: randomBytes(32) };
    await db('import_jobs').insert({ ...job, expires_at: db.raw("now() + interval '1 year'") });
    return id;
  }

  async function insertMany(table: Table, count: number, age: number): Promise<void> {
    const values = `decode(md5(random()::text) || md5(i::text), 'hex')`;
    const expires = 'now() - make_interval(secs => ?)';
    const [columns, expressions] = MODELS[table]
      ? [
          'model, id_hash, payload, session_uid',
          `'${MODELS[table]}', ${values}, '{}', md5(random()::text) || i`,
        ]
      : table === 'one_time_tokens'
        ? ['id, purpose, token_hash', `gen_random_uuid(), 'test', ${values}`]
        : table === 'login_states'
          ? ['id_hash, client_id, state_sealed', `${values}, 'app', 'x'`]
          : table === 'mails'
            ? [
                'id, recipient, template, locale, idempotency_key, is_requested',
                `gen_random_uuid(), 'ana@example.com', 'sign_up', 'en', i::text || random(), true`,
              ]
            : table === 'user_sessions'
              ? [
                  'id, user_id, session_uid, device_kind, ends_at',
                  `gen_random_uuid(), '${userId}', md5(random()::text) || i, 'other', now()`,
                ]
              : table === 'data_exports'
                ? [
                    'id, user_id, locale, ready_at, content_sealed',
                    `gen_random_uuid(), '${userId}', 'en', now(), 'x'`,
                  ]
                : table === 'idempotency_keys'
                  ? ['id_hash, request_hash', `${values}, ${values}`]
                  : table === 'import_jobs'
                    ? ['id, status, source_hash', `gen_random_uuid(), 'done', ${values}`]
                    : table === 'import_faults'
                      ? ['job_id, position, line, code, message', `'${await importJob()}', i, 1, 'test', 'x'`]
                      : ['id_hash', values];
    await db.raw(
      `INSERT INTO ${table} (tenant_id, expires_at, ${columns})
       SELECT ?, ${expires}, ${expressions} FROM generate_series(1, ?) AS i`,
      [tenantId, age, count],
    );
  }

  const count = async (table: Table) => Number((await db(table).count({ count: '*' }))[0]?.['count']);

  const job = (log = memoryLog().log) => createExpiryJob({ db, log, refreshAbsoluteSeconds: 600 });

  it('covers every table whose rows expire', async () => {
    const { rows } = await db.raw(
      `SELECT c.relname AS name FROM pg_class c
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'expires_at'
       WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace`,
    );

    // An expired client secret stays in sight until the client is changed; counters of a minute are removed
    // by those who write the next ones.
    const kept = ['client_secrets', 'rate_counters'];
    const names = rows
      .map((row: { name: string }) => row.name)
      .filter((name: string) => !kept.includes(name));
    const slots = allSlots({ refreshAbsoluteSeconds: 600 }).map(({ table }) => table);
    assert.deepEqual(names.sort(), [...EXPIRING_TABLES, ...slots].sort());
  });

  for (const table of EXPIRING_TABLES) {
    it(`removes rows of ${table} once they have expired, not before the margin has passed`, async () => {
      await insert(table, MARGIN_SECONDS + 60);
      await insert(table, MARGIN_SECONDS - 60);
      await insert(table, -60);

      await job().run(never);

      assert.equal(await count(table), 2);
    });

    it(`finds expired rows of ${table} by the index, however many others there are`, async () => {
      await insertMany(table, 5000, -3600);
      await insertMany(table, 20, 3600);
      await db.raw(`ANALYZE ${table}`);

      const { rows } = await db.raw(`EXPLAIN ${expirySql(table)}`);

      const plan = rows.map((row: Record<string, string>) => row['QUERY PLAN']).join('\n');
      assert.match(plan, new RegExp(`Index Scan using ${table}_expires_at_idx`));
      assert.match(plan, /Tid Scan/);
      assert.doesNotMatch(plan, /Seq Scan|Sort/);
    });
  }

  it('keeps consumed and dead rows, which refuse replays, until they have expired', async () => {
    const now = new Date();
    for (const table of ['oidc_models_grants', 'oidc_models_ephemeral'] as const) {
      await insert(table, -60, { consumed_at: now, dead_at: now });
    }
    await insert('one_time_tokens', -60, { consumed_at: now });

    await job().run(never);

    for (const table of ['oidc_models_grants', 'oidc_models_ephemeral'] as const) {
      assert.equal(await count(table), 1);
    }
    assert.equal(await count('one_time_tokens'), 1);
  });

  it('removes many rows in batches of 500 and says how many', async () => {
    await insertMany('replay_ids', 1234, 3600);
    const { log, lines } = memoryLog();
    const batches: number[] = [];
    db.on('query-response', (_response, { sql, response }) => {
      if (sql.startsWith('DELETE FROM replay_ids')) batches.push(response.rowCount);
    });

    await job(log).run(never);

    assert.deepEqual(batches, [500, 500, 234]);
    assert.deepEqual(
      lines().map(({ table, removed }) => [table, removed]),
      [['replay_ids', 1234]],
    );
  });

  it('neither waits for rows in use nor removes them', async () => {
    await insert('oidc_models_grants', 3600, { client_id: 'in-use' });
    await insert('oidc_models_grants', 3600, { client_id: 'free' });

    await db.transaction(async (trx) => {
      await trx('oidc_models').where({ client_id: 'in-use' }).forUpdate().select('model');
      await job().run(never);
    });

    assert.deepEqual(await db('oidc_models_grants').pluck('client_id'), ['in-use']);
  });

  it('does not remove a row that is given a longer life at the same moment', async () => {
    await insert('oidc_models_sessions', 3600);

    await db.transaction(async (trx) => {
      await trx('oidc_models')
        .where({ model: 'Session' })
        .update({ expires_at: new Date(Date.now() + 60_000) });
      await job().run(never);
    });
    await job().run(never);

    assert.equal(await count('oidc_models_sessions'), 1);
  });

  it('gets everything removed by several processes at once', async () => {
    await insertMany('oidc_models_ephemeral', 3000, 3600);

    await Promise.all([job().run(never), job().run(never), job().run(never)]);
    await job().run(never);

    assert.equal(await count('oidc_models_ephemeral'), 0);
  });

  it('ends between two batches when the process shuts down', async () => {
    await insertMany('replay_ids', 1600, 3600);
    const shutdown = new AbortController();
    db.on('query-response', (_response, { sql }) => {
      if (sql.startsWith('DELETE FROM replay_ids')) shutdown.abort();
    });

    await job().run(shutdown.signal);

    assert.equal(await count('replay_ids'), 1100);
  });

  it('ends within a pause, too, when the process shuts down', async () => {
    await insertMany('replay_ids', 600, 3600);
    await db.raw(`
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
      CREATE TRIGGER slow AFTER DELETE ON replay_ids FOR EACH STATEMENT EXECUTE FUNCTION slow();
    `);
    const shutdown = new AbortController();
    db.on('query-response', (_response, { sql }) => {
      if (sql.startsWith('DELETE FROM replay_ids')) shutdown.abort();
    });

    const startedAt = performance.now();
    const ended = job().run(shutdown.signal);
    await once(shutdown.signal, 'abort');
    const batchMs = performance.now() - startedAt;
    await ended;

    // The pause would be five times the batch.
    assert.ok(performance.now() - startedAt < 3 * batchMs);
  });
});
