import assert from 'node:assert/strict';
import { assertionFields, createAssertionKey } from '../support/assertion-key.ts';
import { createDpopKey } from '../support/dpop.ts';
import { createBrowserOperations } from './history/browser-operations.ts';
import { createProtocolOperations } from './history/protocol-operations.ts';
import { createRecorder } from './history/record.ts';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { nameOf } from './support/answers.ts';
import { fetchBy } from './support/balancer.ts';
import type { HttpRequest } from './support/http-client.ts';
import type { Installation } from './support/installation.ts';
import { RIGHT, SKEWED, startSkewedInstallation } from './support/skewed-installation.ts';
import type { SkewedInstallation } from './support/skewed-installation.ts';

const TAKEN_ASSERTION = ['200', '401 invalid_client', '401 invalid_client'];
const TAKEN_PROOF = ['200', '400 invalid_grant', '400 invalid_grant'];
const LEFT_ASSERTION = ['401 invalid_client', '200', '401 invalid_client'];
/** Whoever makes another proof, with the nonce that comes with the refusal, is served. */
const LEFT_PROOF = ['400 use_dpop_nonce', '200', '400 use_dpop_nonce'];

/** What the skewed server, the right one and the skewed one again answer to the same request. */
const AT_A_SLOW_ONE = {
  'a short assertion': TAKEN_ASSERTION,
  'a longer assertion': TAKEN_ASSERTION,
  'an old proof': TAKEN_PROOF,
  'a new proof': TAKEN_PROOF,
  'a proof made ahead': LEFT_PROOF,
};
const AT_A_FAST_ONE = {
  'a short assertion': LEFT_ASSERTION,
  'a longer assertion': TAKEN_ASSERTION,
  'an old proof': LEFT_PROOF,
  'a new proof': TAKEN_PROOF,
  'a proof made ahead': TAKEN_PROOF,
};

/** Not ready, and passed over by whoever balances loads; it must do no harm to those who ask it anyway. */
describe('what is good once, at a server whose clock is wrong', function () {
  this.timeout(120_000);
  let skewed: SkewedInstallation;
  let installation: Installation;
  before(async () => {
    skewed = await startSkewedInstallation();
    ({ installation } = skewed);
  });
  after(() => skewed.close());

  /** With what clients sign for one request only. */
  async function singleUse(world: World) {
    const [app] = world.apps;
    assert.ok(app);
    const url = `${world.issuer}/token`;
    const form = { grant_type: 'client_credentials' };
    const key = await createAssertionKey();
    const { client } = await installation.services.clients.create(world.tenant.actor, {
      name: 'Service that signs',
      metadata: {
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [key.publicJwk] },
      },
    });
    const dpop = await createDpopKey();
    const now = Math.floor(Date.now() / 1000);
    return {
      assertion: async (lifeSeconds: number): Promise<HttpRequest> => {
        const assertion = await key.assertion(client.clientId, world.issuer, { exp: now + lifeSeconds });
        return { url, form: { ...form, ...assertionFields(assertion) } };
      },
      /** @param inSeconds when it says that it was made */
      proof: async (inSeconds: number): Promise<HttpRequest> => {
        const proof = await dpop.proof('POST', url, { claims: { iat: now + inSeconds } });
        return { url, form, headers: { authorization: app.authorization, dpop: proof } };
      },
    };
  }

  const send = async (request: HttpRequest, server: number) =>
    nameOf(await installation.balancer.send(request, server));

  for (const seconds of [-300, 300]) {
    // A slow clock takes what has expired, a fast one what is not valid yet; each refuses what the other takes.
    const isSlow = seconds < 0;

    it(`signs people in at ${seconds} s, and takes each code once, or leaves it for the others`, async () => {
      const world = await createWorld(installation, { users: 3, apps: 1 });
      const [app] = world.apps;
      const [early, late, other] = world.users;
      assert.ok(app && early && late && other);
      const recorder = createRecorder();
      const protocol = createProtocolOperations(world, recorder);
      const right = { worker: 0, server: RIGHT };
      const wrong = { worker: 0, server: SKEWED };
      const pinnedTo = (server: number) => {
        const fetch = fetchBy((request) => installation.balancer.send(request, server));
        return createBrowserOperations({ ...world, balancer: { ...world.balancer, fetch } }, recorder);
      };
      const exchange = async (code: string | undefined, callers: readonly (typeof right)[]) => {
        const outcomes: string[] = [];
        for (const caller of callers)
          outcomes.push((await protocol.exchange(caller, app, code ?? '')).outcome);
        return outcomes;
      };
      const expired = await pinnedTo(RIGHT).signIn(right, early, app, false);
      await installation.db.raw(
        "UPDATE oidc_models SET expires_at = now() - interval '1 second' WHERE tenant_id = ? AND model = 'AuthorizationCode'",
        [world.tenant.tenant.id],
      );
      const before = await pinnedTo(RIGHT).signIn(right, late, app, false);

      await skewed.skewUntil(seconds, 'not ready');
      const during = await pinnedTo(SKEWED).signIn(wrong, other, app, false);
      const again = during.session && (await pinnedTo(SKEWED).authorize(wrong, during.session, app, false));
      const tokens = await protocol.exchange(wrong, app, again?.code ?? '');
      const itsTokens = [
        tokens.outcome,
        (await protocol.userinfo(right, tokens.access ?? '')).outcome,
        (await protocol.refresh(right, app, tokens.refresh ?? '')).outcome,
      ];
      const outcomes = {
        expired: await exchange(expired.record.code, [wrong, right]),
        before: await exchange(before.record.code, [wrong, right, wrong]),
        during: await exchange(during.record.code, [right, wrong, right]),
        itsTokens,
      };
      await skewed.skewUntil(0, 'ready');

      assert.deepEqual(outcomes, {
        expired: ['refused', 'refused'],
        before: isSlow ? ['ok', 'refused', 'refused'] : ['refused', 'ok', 'refused'],
        during: isSlow ? ['refused', 'ok', 'refused'] : ['ok', 'refused', 'refused'],
        itsTokens: ['ok', 'ok', 'ok'],
      });
    });

    it(`takes no assertion and no proof twice at ${seconds} s, and leaves to others what it refuses`, async () => {
      const world = await createWorld(installation, { users: 1, apps: 1 });
      const { assertion, proof } = await singleUse(world);

      await skewed.skewUntil(seconds, 'not ready');
      const outcomes: Record<string, string[]> = {};
      for (const [what, request] of Object.entries({
        'a short assertion': await assertion(60),
        'a longer assertion': await assertion(360),
        'an old proof': await proof(-290),
        'a new proof': await proof(isSlow ? -10 : 10),
        'a proof made ahead': await proof(290),
      })) {
        outcomes[what] = [];
        for (const server of [SKEWED, RIGHT, SKEWED]) outcomes[what].push(await send(request, server));
      }
      await skewed.skewUntil(0, 'ready');

      assert.deepEqual(outcomes, isSlow ? AT_A_SLOW_ONE : AT_A_FAST_ONE);
    });
  }

  it('takes nothing twice for as long as a clock that is 300 s slow would take it', async () => {
    const world = await createWorld(installation, { users: 1, apps: 1 });
    const { assertion, proof } = await singleUse(world);
    const requests = {
      right: [await assertion(300), await proof(290)],
      skewed: [await assertion(300), await proof(-5)],
    };
    const laterSeconds = 590;

    await skewed.skewUntil(-300, 'not ready');
    const first = [
      ...(await Promise.all(requests.right.map((request) => send(request, RIGHT)))),
      ...(await Promise.all(requests.skewed.map((request) => send(request, SKEWED)))),
    ];
    // As much later: for the skewed server, for what is remembered, and for the job that removes it.
    await installation.db.raw(
      'UPDATE replay_ids SET expires_at = expires_at - make_interval(secs => ?) WHERE tenant_id = ?',
      [laterSeconds, world.tenant.tenant.id],
    );
    await installation.db.raw('DELETE FROM replay_ids WHERE expires_at < now()');
    await skewed.skew(laterSeconds - 300);
    const later = await Promise.all(
      [...requests.right, ...requests.skewed].map((request) => send(request, SKEWED)),
    );
    await skewed.skewUntil(0, 'ready');

    assert.deepEqual(first, ['200', '200', '200', '200']);
    assert.deepEqual(later, [
      '401 invalid_client',
      '400 invalid_grant',
      '401 invalid_client',
      '400 invalid_grant',
    ]);
  });
});
