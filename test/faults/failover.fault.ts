import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import knex from 'knex';
import { checkHistory } from './history/check-history.ts';
import { explainViolation } from './history/explain.ts';
import { makePlan } from './history/plan.ts';
import { runPlan } from './history/run-plan.ts';
import { createWorld } from './history/world.ts';
import { tally } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import { inForm, seed } from './support/form.ts';
import { halfDone } from './support/half-done.ts';
import { jsonOf } from './support/http-client.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { asSuperuser, startPrivatePostgres } from './support/private-postgres.ts';
import type { PrivatePostgres } from './support/private-postgres.ts';
import { requestsOf } from './support/requests.ts';
import { isReady } from './support/server-process.ts';

const promises = { graceMs: 10_000 };
const OPERATIONS = inForm({ short: 800, long: 5_000 });
const MIX = { refresh: 50, renew: 20, introspect: 10, 'revoke-refresh': 5, 'use-ended': 10, logout: 1 };
const LONGEST_RECOVERY_MS = 5_000;

describe('a database that fails over to its standby', function () {
  this.timeout(inForm({ short: 180_000, long: 900_000 }));
  let directory: string;
  let installation: Installation;
  let standby: PrivatePostgres | undefined;
  beforeEach(async () => {
    directory = await mkdtemp(join(process.env['FAULTS_DIR'] ?? tmpdir(), 'standby-'));
    installation = await startInstallation({ env: { GATEHOUSE_REFRESH_GRACE_SECONDS: '10' } });
  });

  async function startStandby(): Promise<PrivatePostgres> {
    standby = await startPrivatePostgres(join(directory, 'data'), installation.postgres);
    return standby;
  }
  afterEach(async () => {
    await installation.close();
    await standby?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('blames no token while it only reads, and goes on once it writes', async () => {
    const replacement = await startStandby();
    const world = await createWorld(installation, { users: 2, apps: 2 });
    const held = await holdFamilies(world, 4);
    const send = async (wanted: readonly string[]) =>
      Promise.all(
        held
          .flatMap((family) => requestsOf(world, family))
          .filter(({ what }) => wanted.includes(what))
          .map(async ({ what, ...request }) => ({
            what,
            outcome: await installation.balancer.send(request),
          })),
      );

    await caughtUp(installation.postgres, replacement);
    installation.proxy.retarget(replacement.socket);
    installation.proxy.cut();
    const whileReading = await send(['refresh', 'introspect', 'userinfo', 'push a request']);
    await installation.postgres.crash();
    await replacement.promote();
    installation.proxy.cut();
    const afterwards = await send(['refresh', 'introspect', 'userinfo', 'push a request']);

    // Those whose connection was cut under them say 503 as well, and may be asked again.
    const refusals = ['push a request: 503 temporarily_unavailable', 'refresh: 503 temporarily_unavailable'];
    const mayBe = [
      ...refusals,
      ...['introspect', 'userinfo'].flatMap((what) => [
        `${what}: 200`,
        `${what}: 503 temporarily_unavailable`,
      ]),
    ];
    const seen = tally(whileReading);
    for (const refusal of refusals)
      assert.ok(seen.includes(refusal), `${refusal} is not in ${seen.join('; ')}`);
    assert.deepEqual(
      seen.filter((line) => !mayBe.includes(line)),
      [],
    );
    assert.deepEqual([...whileReading, ...afterwards].filter(isInactive), []);
    assert.deepEqual(tally(afterwards), [
      'introspect: 200',
      'push a request: 201',
      'refresh: 200',
      'userinfo: 200',
    ]);
  });

  it('loses nothing that was acknowledged, and is back within 5 s', async () => {
    const replacement = await startStandby();
    const plan = makePlan({ seed, operations: OPERATIONS, mix: MIX });
    const running = runPlan(installation, plan);
    await underWay(installation);

    await installation.postgres.crash();
    await replacement.promote();
    installation.proxy.retarget(replacement.socket);
    installation.proxy.cut();
    const failedOverAt = performance.now();
    for (const { url } of installation.servers) while (!(await isReady(url))) await delay(20);
    const recoveryMs = performance.now() - failedOverAt;
    const { tenantId, records } = await running;

    const [violation] = checkHistory(records, promises);
    if (violation) assert.fail(await explainViolation(violation, records, promises, installation));
    const db = knex({ client: 'pg', connection: replacement.url });
    const left = await halfDone(db, tenantId);
    await db.destroy();
    assert.deepEqual(left, []);
    assert.ok(
      records.some(({ outcome }) => outcome !== 'ok' && outcome !== 'refused'),
      'nobody noticed',
    );
    assert.ok(recoveryMs < LONGEST_RECOVERY_MS, `recovered after ${Math.round(recoveryMs)} ms`);
  });
});

/** What was acknowledged is in the log of the standby; this waits until it can be read there as well. */
async function caughtUp(primary: PrivatePostgres, standby: PrivatePostgres): Promise<void> {
  const { rows } = await asSuperuser(primary.superuserUrl, (session) =>
    session.query('SELECT pg_current_wal_lsn()::text AS written'),
  );
  await asSuperuser(standby.superuserUrl, async (session) => {
    const isThere = async () => {
      const { rows: found } = await session.query(
        'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS is_there',
        [rows[0].written],
      );
      return found[0].is_there;
    };
    while (!(await isThere())) await delay(20);
  });
}

function isInactive({ what, outcome }: Answer): boolean {
  return what === 'introspect' && jsonOf(outcome)['active'] === false;
}

/** Tokens are being issued. */
async function underWay({ db }: Installation): Promise<void> {
  for (;;) {
    const { rows } = await db.raw("SELECT count(*)::int FROM oidc_models WHERE model = 'RefreshToken'");
    if (rows[0].count > 50) return;
    await delay(20);
  }
}
