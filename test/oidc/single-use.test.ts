import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { startReplicas } from '../support/replicas.ts';
import type { Replica } from '../support/replicas.ts';
import { CODE_VERIFIER, createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty, TokenResponse } from '../support/relying-party.ts';

const PARALLEL = 50;

/** Both replicas, strict and with grace, share the issuer, the keys and the database of `app`. */
describe('single use over two server processes', function () {
  this.timeout(60_000);
  let app: TestApp;
  let tenant: TestTenant;
  let strict: Replica[];
  let graceful: Replica[];

  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    strict = await startReplicas(2, app.url, { GATEHOUSE_REFRESH_GRACE_SECONDS: '0' });
    graceful = await startReplicas(2, app.url, { GATEHOUSE_REFRESH_GRACE_SECONDS: '60' });
  });
  after(async () => {
    await Promise.all([...strict, ...graceful].map((replica) => replica.close()));
    await app.close();
  });

  const mounted = (replicas: Replica[], index: number) =>
    `${replicas[index % replicas.length]?.url}${new URL(tenant.issuer).pathname}`;

  /** The same request many times at once, spread over the replicas. */
  function storm(
    rp: RelyingParty,
    replicas: Replica[],
    params: Record<string, string>,
  ): Promise<TokenResponse[]> {
    return Promise.all(
      Array.from({ length: PARALLEL }, (_, index) => rp.token(params, { baseUrl: mounted(replicas, index) })),
    );
  }

  const tally = (responses: TokenResponse[]) =>
    Object.entries(Object.groupBy(responses, ({ status, body }) => `${status} ${body.error ?? 'ok'}`))
      .map(([outcome, group]) => `${group?.length} × ${outcome}`)
      .toSorted();

  async function isAlive(rp: RelyingParty, { body }: TokenResponse): Promise<boolean> {
    const { body: answer } = await rp.call('/introspect', { token: body.access_token ?? '' });
    return answer['active'] === true;
  }

  it('redeems a code exactly once, and ends everything it gave', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();

    const responses = await storm(rp, strict, redemption(code));

    assert.deepEqual(tally(responses), ['1 × 200 ok', `${PARALLEL - 1} × 400 invalid_grant`]);
    const winner = responses.find(({ status }) => status === 200) as TokenResponse;
    assert.equal(await isAlive(rp, winner), false);
    assert.equal((await rp.refresh(winner.body.refresh_token ?? '')).body.error, 'invalid_grant');
  });

  it('records the reuse of a code once', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();

    await storm(rp, strict, redemption(code));

    const events = await app
      .db('events')
      .where({ tenant_id: tenant.tenant.id, type: 'grant.reuse_detected' });
    assert.equal(events.filter((event) => event.data.client_id === rp.clientId).length, 1);
  });

  it('gives a refresh token exactly one successor and ends the family at its reuse, without grace', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();
    const { body } = await rp.redeem(code);

    const responses = await storm(rp, strict, refreshing(body.refresh_token));

    assert.deepEqual(tally(responses), ['1 × 200 ok', `${PARALLEL - 1} × 400 invalid_grant`]);
    const winner = responses.find(({ status }) => status === 200) as TokenResponse;
    assert.equal(await isAlive(rp, winner), false);
    const next = await rp.token(refreshing(winner.body.refresh_token), { baseUrl: mounted(strict, 0) });
    assert.equal(next.body.error, 'invalid_grant');
  });

  it('gives everybody who repeats a refresh within the grace window the same successor', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();
    const { body } = await rp.redeem(code);

    const responses = await storm(rp, graceful, refreshing(body.refresh_token));

    assert.deepEqual(tally(responses), [`${PARALLEL} × 200 ok`]);
    assert.equal(new Set(responses.map((response) => response.body.refresh_token)).size, 1);
    assert.equal(await isAlive(rp, responses[0] as TokenResponse), true);
  });

  it('ends the family when a refresh token comes back after its successor was used, even within the grace window', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();
    const first = await rp.redeem(code);
    const second = await rp.token(refreshing(first.body.refresh_token), { baseUrl: mounted(graceful, 0) });
    const third = await rp.token(refreshing(second.body.refresh_token), { baseUrl: mounted(graceful, 1) });

    const replayed = await rp.token(refreshing(first.body.refresh_token), { baseUrl: mounted(graceful, 1) });

    assert.equal(replayed.body.error, 'invalid_grant');
    assert.equal(await isAlive(rp, third), false);
  });

  it('ends the family when a refresh token comes back after the grace window', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();
    const first = await rp.redeem(code);
    const second = await rp.token(refreshing(first.body.refresh_token), { baseUrl: mounted(graceful, 0) });
    await app.db.raw(
      `UPDATE oidc_models SET consumed_at = consumed_at - interval '2 minutes' WHERE tenant_id = ? AND model = 'RefreshToken' AND client_id = ?`,
      [tenant.tenant.id, rp.clientId],
    );

    const replayed = await rp.token(refreshing(first.body.refresh_token), { baseUrl: mounted(graceful, 1) });

    assert.equal(replayed.body.error, 'invalid_grant');
    assert.equal(await isAlive(rp, second), false);
  });

  it('ends the family of a reused refresh token also when the request has another fault', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();
    const first = await rp.redeem(code);
    const second = await rp.token(refreshing(first.body.refresh_token), { baseUrl: mounted(strict, 0) });

    const replayed = await rp.token(
      { ...refreshing(first.body.refresh_token), scope: 'openid profile email' },
      { baseUrl: mounted(strict, 1) },
    );

    assert.equal(replayed.status, 400);
    assert.equal(await isAlive(rp, second), false);
  });

  it('leaves the family alone when another client presents its used refresh token', async () => {
    const rp = await createRelyingParty(app, tenant);
    const stranger = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();
    const first = await rp.redeem(code);
    const second = await rp.token(refreshing(first.body.refresh_token), { baseUrl: mounted(strict, 0) });

    const replayed = await stranger.token(refreshing(first.body.refresh_token), {
      baseUrl: mounted(strict, 0),
    });

    assert.equal(replayed.body.error, 'invalid_grant');
    assert.equal(await isAlive(rp, second), true);
  });

  it('lets an unrelated refresh through while replays of one code pile up', async () => {
    const [attacked, other] = [await createRelyingParty(app, tenant), await createRelyingParty(app, tenant)];
    const { code = '' } = await attacked.signIn();
    const { body } = await other.redeem((await other.signIn()).code ?? '');

    const [attack, refreshed] = await Promise.all([
      Promise.all([storm(attacked, strict, redemption(code)), storm(attacked, strict, redemption(code))]),
      other.token(refreshing(body.refresh_token), { baseUrl: mounted(strict, 0) }),
    ]);

    assert.equal(refreshed.status, 200);
    assert.equal(attack.flat().filter(({ status }) => status === 200).length, 1);
    assert.equal(attack.flat().filter(({ status }) => status >= 500).length, 0);
  });
});

function redemption(code: string): Record<string, string> {
  return { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: CODE_VERIFIER };
}

function refreshing(token: string | undefined): Record<string, string> {
  return { grant_type: 'refresh_token', refresh_token: token ?? '' };
}
