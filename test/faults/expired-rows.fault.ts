import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Knex } from 'knex';
import { slotAt, slotSecondsOf } from '../../src/oidc/adapter/token-slots.ts';
import { checkHistory } from './history/check-history.ts';
import { explainViolation } from './history/explain.ts';
import { makePlan } from './history/plan.ts';
import { runPlan } from './history/run-plan.ts';
import { inForm, seed } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';

const promises = { graceMs: 10_000 };
const TOKENS = inForm({ short: 40_000, long: 5_000_000 });
const SESSIONS = inForm({ short: 10_000, long: 500_000 });
const OPERATIONS = inForm({ short: 300, long: 20_000 });
const PART = 20_000;
const LONGEST_REMOVAL_MS = inForm({ short: 120_000, long: 1_200_000 });
const MIX = { refresh: 50, renew: 15, introspect: 15, use: 10, 'revoke-refresh': 2, 'use-ended': 8 };

/** How long others wait meanwhile is measured by `npm run bench:removal`. */
describe('rows that have expired by the million', function () {
  this.timeout(inForm({ short: 240_000, long: 3_600_000 }));
  let installation: Installation;
  before(async () => {
    installation = await startInstallation({ env: { GATEHOUSE_REFRESH_GRACE_SECONDS: '10' } });
  });
  after(() => installation.close());

  it('are removed by the servers themselves, while every request is answered and nothing that lives is lost', async () => {
    const { db } = installation;
    await insertExpired(db);
    const plan = makePlan({ seed, operations: OPERATIONS, faults: [], mix: MIX });

    const [{ records }] = await Promise.all([runPlan(installation, plan), allRemoved(db)]);

    const [violation] = checkHistory(records, promises);
    if (violation) assert.fail(await explainViolation(violation, records, promises, installation));
    assert.deepEqual(
      records
        .filter(({ outcome }) => outcome === 'broken' || outcome === 'unknown')
        .map(({ detail }) => detail),
      [],
    );
  });
});

/** In a slot that nobody writes to for a while, and as sessions, which are removed row by row. */
async function insertExpired(db: Knex): Promise<void> {
  const slotSeconds = slotSecondsOf('AccessToken', { refreshAbsoluteSeconds: 1 });
  const first = 32 * slotAt(Date.now() / 1000 + 3 * slotSeconds, slotSeconds);
  for (let from = 1; from <= TOKENS; from += PART) {
    await db.raw(
      `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, expires_at)
       SELECT t.id, 'AccessToken', set_byte(sha256(i::text::bytea), 0, ? + i % 32), '{"kind": "AccessToken"}', now() - interval '1 hour'
         FROM generate_series(?::int, ?::int) AS i, (SELECT id FROM tenants LIMIT 1) t`,
      [first, from, Math.min(from + PART - 1, TOKENS)],
    );
  }
  for (let from = 1; from <= SESSIONS; from += PART) {
    await db.raw(
      `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, session_uid, expires_at)
       SELECT t.id, 'Session', sha256(('s' || i)::bytea), '{"kind": "Session"}', 'expired-' || i, now() - interval '1 hour'
         FROM generate_series(?::int, ?::int) AS i, (SELECT id FROM tenants LIMIT 1) t`,
      [from, Math.min(from + PART - 1, SESSIONS)],
    );
  }
}

async function allRemoved(db: Knex): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    const row = await db('oidc_models')
      .where('expires_at', '<', db.raw("now() - interval '30 minutes'"))
      .first('model');
    if (!row) return;
    assert.ok(performance.now() - startedAt < LONGEST_REMOVAL_MS, 'there are expired rows left');
    await delay(500);
  }
}
