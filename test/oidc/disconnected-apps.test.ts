import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { disconnectApp } from '../../src/account-portal/connected-apps.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { inOrderBehind } from '../support/blocked.ts';
import { CODE_CHALLENGE, createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page, UserAgent } from '../support/user-agent.ts';

/** Somebody takes back what they allowed an app, while it asks for more in the background. */
describe('an app that is disconnected while an authorization is under way', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  let agent: UserAgent;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  beforeEach(async () => {
    rp = await createRelyingParty(app, tenant);
    agent = createUserAgent();
    await rp.signIn(createUserAgent(), { scope: 'openid email' });
  });
  after(() => app.close());

  const theConsent = (trx: Knex.Transaction) => trx('consents').where({ user_id: rp.user.id }).forUpdate();
  const disconnect = () =>
    disconnectApp(app.db, { ...tenant.actor, type: 'user', id: rp.user.id }, rp.clientId);
  const liveGrants = async () =>
    (
      await app
        .db('oidc_models')
        .where({
          tenant_id: tenant.tenant.id,
          model: 'Grant',
          account_id: rp.user.id,
          client_id: rp.clientId,
        })
        .whereNull('dead_at')
    ).length;
  const answerOf = ({ location = '' }: Page) => Object.fromEntries(new URL(location).searchParams);

  /** A session that has nothing with the app yet. */
  async function signInElsewhere(): Promise<void> {
    const other = await createRelyingParty(app, tenant, { firstParty: true });
    await rp.visit(other.authorizationUrl(), agent);
  }

  const silently = { prompt: 'none', scope: 'openid email' };
  const ASKS: Record<string, () => Promise<string> | string> = {
    'that locks nothing': () => rp.authorizationUrl(silently),
    async 'that locks'() {
      const { body } = await rp.call('/par', {
        client_id: rp.clientId,
        response_type: 'code',
        redirect_uri: REDIRECT_URI,
        code_challenge: CODE_CHALLENGE,
        code_challenge_method: 'S256',
        ...silently,
      });
      const query = new URLSearchParams({
        client_id: rp.clientId,
        request_uri: String(body['request_uri']),
      });
      return `${tenant.issuer}/authorize?${query.toString()}`;
    },
  };

  /** What the session has with the app. */
  const SESSIONS: Record<string, () => Promise<unknown>> = {
    'its first authorization': signInElsewhere,
    'a grant that is extended': () => rp.signIn(agent, { scope: 'openid' }),
  };

  for (const [how, ask] of Object.entries(ASKS)) {
    for (const [what, signIn] of Object.entries(SESSIONS)) {
      it(`gets nothing by a request ${how} for ${what}, if it comes second`, async () => {
        await signIn();
        const url = await ask();

        const [, page] = await inOrderBehind<[void, Page]>(app.db, theConsent, [
          disconnect,
          async () => agent.follow(await agent.get(url), tenant.issuer),
        ]);

        assert.equal(answerOf(page)['error'], 'consent_required', page.location);
        assert.equal(await liveGrants(), 0);
      });

      it(`loses again what it gets by a request ${how} for ${what}, if that comes first`, async () => {
        await signIn();
        const url = await ask();

        const [page] = await inOrderBehind<[Page, void]>(app.db, theConsent, [
          () => agent.get(url),
          disconnect,
        ]);

        const { code = '' } = answerOf(page);
        assert.ok(code, page.location);
        assert.equal((await rp.redeem(code)).body.error, 'invalid_grant');
        assert.equal(await liveGrants(), 0);
      });
    }
  }

  it('is connected again by a consent under way, and without a deadlock', async () => {
    await rp.signIn(agent, { scope: 'openid' });
    const page = await agent.follow(
      await agent.get(rp.authorizationUrl({ scope: 'openid phone' })),
      tenant.issuer,
    );

    const [, allowed] = await inOrderBehind<[void, Page]>(app.db, theConsent, [
      disconnect,
      () => agent.submit(page, '/consent', { decision: 'allow' }),
    ]);

    const arrived = await agent.follow(allowed, tenant.issuer);
    assert.ok(answerOf(arrived)['code'], `${arrived.status} ${arrived.location}`);
    assert.equal(await liveGrants(), 1);
  });
});
