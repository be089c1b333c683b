import assert from 'node:assert/strict';
import { createBrowserOperations } from './history/browser-operations.ts';
import { createProtocolOperations } from './history/protocol-operations.ts';
import { createRecorder } from './history/record.ts';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { holdFamilies } from './support/families.ts';
import { inForm } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';

const LONGEST_ANSWER_MS = 3_000;
/**
 * What makes a protocol request last: a statement that commits by itself, or a commit. Not what jobs do
 * meanwhile, who skip the rows that others have.
 */
const LASTING =
  /^\s*(?![^]*\bskip locked\b)(?=[^]*\b(insert|update)\b)(?=[^]*\boidc_)(with\b|insert\b|update\b|begin\b[^]*\n\s*commit\b)/i;
const TIMES = inForm({ short: 2, long: 5 });

const caller = { worker: 0, server: 0 };
const other = { worker: 0, server: 1 };

/** The change is made and the server does not learn it: the connection breaks, or goes silent. */
describe('a commit whose reply gets lost', function () {
  this.timeout(120_000);
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation({ env: { GATEHOUSE_REFRESH_GRACE_SECONDS: '30' } });
    world = await createWorld(installation, { users: 2, apps: 2 });
  });
  after(() => installation.close());

  for (const how of ['reset', 'silence'] as const) {
    it(`lets a refresh be repeated and gives one successor (${how})`, async () => {
      const recorder = createRecorder();
      const protocol = createProtocolOperations(world, recorder);
      for (const { app, refresh } of await holdFamilies(world, TIMES)) {
        const lost = await losingOneReply(installation.proxy, how, () =>
          protocol.refresh(caller, app, refresh),
        );
        const repeated = await protocol.refresh(other, app, refresh);
        const again = await protocol.refresh(caller, app, refresh);
        const next = await protocol.refresh(caller, app, repeated.refresh ?? '');

        assert.deepEqual(
          [lost, repeated, again, next].map(({ outcome }) => outcome),
          ['unavailable', 'ok', 'ok', 'ok'],
        );
        assert.equal(again.refresh, repeated.refresh);
        assert.ok(lost.respondedAt - lost.invokedAt < LONGEST_ANSWER_MS);
      }
    });

    it(`refuses a code cleanly the second time, with nothing left of it (${how})`, async () => {
      const recorder = createRecorder();
      const protocol = createProtocolOperations(world, recorder);
      const browsers = createBrowserOperations(world, recorder);
      for (const { app, session } of await holdFamilies(world, TIMES)) {
        const { code = '' } = await browsers.authorize(caller, session, app, false);

        const lost = await losingOneReply(installation.proxy, how, () =>
          protocol.exchange(caller, app, code),
        );
        const repeated = await protocol.exchange(other, app, code);

        assert.deepEqual([lost.outcome, repeated.outcome], ['unavailable', 'refused']);
        assert.ok(lost.respondedAt - lost.invokedAt < LONGEST_ANSWER_MS);
      }
      assert.deepEqual(await liveTokensWithoutOwner(), []);
    });

    it(`ends a family for good, whatever the answer to its revocation (${how})`, async () => {
      const recorder = createRecorder();
      const protocol = createProtocolOperations(world, recorder);
      for (const { app, access, refresh } of await holdFamilies(world, TIMES)) {
        const lost = await losingOneReply(installation.proxy, how, () =>
          protocol.revoke(caller, app, refresh),
        );
        const repeated = await protocol.revoke(other, app, refresh);
        const [introspected, refreshed] = await Promise.all([
          protocol.introspect(caller, app, access),
          protocol.refresh(other, app, refresh),
        ]);

        assert.deepEqual(
          [lost, repeated, introspected, refreshed].map(({ outcome }) => outcome),
          ['unavailable', 'ok', 'refused', 'refused'],
        );
      }
    });

    it(`shows a person a page, and the sign-in goes on (${how})`, async () => {
      const recorder = createRecorder();
      const browsers = createBrowserOperations(world, recorder);
      for (const { app, session } of await holdFamilies(world, TIMES)) {
        // The session changes with the first authorization for an app, so there is something to commit.
        const elsewhere = world.apps.find((one) => one !== app) ?? app;
        const lost = await losingOneReply(installation.proxy, how, () =>
          browsers.authorize(caller, session, elsewhere, false),
        );
        const repeated = await browsers.authorize(other, session, elsewhere, false);

        assert.deepEqual([lost.outcome, repeated.outcome], ['unavailable', 'ok']);
      }
    });
  }

  /** Refresh tokens of a grant beyond the one that its client has. */
  async function liveTokensWithoutOwner(): Promise<unknown[]> {
    const { rows } = await installation.db.raw(
      `SELECT t.grant_hash FROM oidc_models t
         JOIN oidc_models g ON g.tenant_id = t.tenant_id AND g.model = 'Grant' AND g.id_hash = t.grant_hash
        WHERE t.tenant_id = ? AND t.model = 'RefreshToken' AND t.consumed_at IS NULL AND t.dead_at IS NULL AND g.dead_at IS NULL
        GROUP BY t.grant_hash HAVING count(*) > 1`,
      [world.tenant.tenant.id],
    );
    return rows;
  }
});

describe('a commit whose reply gets lost where nothing may be repeated', function () {
  this.timeout(60_000);
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation({ env: { GATEHOUSE_REFRESH_GRACE_SECONDS: '0' } });
    world = await createWorld(installation, { users: 2, apps: 2 });
  });
  after(() => installation.close());

  for (const how of ['reset', 'silence'] as const) {
    it(`refuses a refresh that has been done, and ends its family (${how})`, async () => {
      const protocol = createProtocolOperations(world, createRecorder());
      for (const { app, access, refresh } of await holdFamilies(world, TIMES)) {
        const lost = await losingOneReply(installation.proxy, how, () =>
          protocol.refresh(caller, app, refresh),
        );
        const repeated = await protocol.refresh(other, app, refresh);
        const introspected = await protocol.introspect(caller, app, access);

        assert.deepEqual(
          [lost, repeated, introspected].map(({ outcome }) => outcome),
          ['unavailable', 'refused', 'refused'],
        );
      }
    });
  }
});

/** @returns what the work returned, once exactly one reply was lost */
async function losingOneReply<Result>(
  proxy: Installation['proxy'],
  how: 'reset' | 'silence',
  work: () => Promise<Result>,
): Promise<Result> {
  const before = proxy.lostReplies();
  proxy.loseReplies(1, how, LASTING);
  const result = await work();
  proxy.loseReplies(0);
  assert.equal(proxy.lostReplies(), before + 1);
  return result;
}
