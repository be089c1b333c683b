import assert from 'node:assert/strict';
import { createApiWorld } from '../management-api/api-world.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { fullScans, statementsOf } from '../support/query-plans.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

describe('queries of requests', function () {
  this.timeout(60_000);
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  async function assertIndexed(work: () => Promise<unknown>): Promise<void> {
    const statements = await statementsOf(app.db, work);
    assert.ok(statements.length > 0);
    for (const statement of statements) {
      assert.deepEqual(await fullScans(app.db, statement, true), [], statement);
    }
  }

  it('finds a full scan where there is one', async () => {
    assert.deepEqual(await fullScans(app.db, "SELECT 1 FROM events WHERE reason = 'x'", true), ['events']);
  });

  it('use an index at every step of a sign-in with consent, and at the exchange of its code', async () => {
    const rp = await createRelyingParty(app, tenant);

    await assertIndexed(async () =>
      rp.redeem((await rp.signIn(createUserAgent(), { scope: 'openid email' })).code ?? ''),
    );
  });

  it('use an index at an authorization with a session, a refresh, introspection and userinfo', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    const { body } = await rp.redeem((await rp.signIn(agent)).code ?? '');

    await assertIndexed(async () => {
      await agent.get(rp.authorizationUrl());
      await rp.refresh(body.refresh_token ?? '');
      await rp.call('/introspect', { token: body.access_token ?? '' });
      // Reads that share a statement.
      await Promise.all([
        rp.call('/introspect', { token: body.access_token ?? '' }),
        rp.call('/introspect', { token: `${body.access_token}x` }),
        rp.call('/introspect', { token: `${body.access_token}y` }),
      ]);
      await fetch(`${tenant.issuer}/userinfo`, { headers: { authorization: `Bearer ${body.access_token}` } });
    });
  });

  it('use an index at a sign-in over the API, a refresh that extends its session, and what services ask', async () => {
    const world = await createApiWorld(app);
    const { id, email, token, refreshToken } = await world.person();
    // As after six minutes.
    await app.db.raw(
      `UPDATE oidc_models SET payload = jsonb_set(payload, '{exp}', to_jsonb((payload->>'exp')::int - 360))
        WHERE tenant_id = ? AND model = 'Session' AND account_id = ?`,
      [world.tenant.id, id],
    );

    await assertIndexed(async () => {
      assert.equal((await world.login(email)).status, 200);
      const body = { refresh_token: refreshToken };
      assert.equal((await world.call('POST', '/auth/refresh', { body })).status, 200);
      assert.equal(
        (await world.call('POST', '/auth/validate', { as: world.service, body: { token } })).status,
        200,
      );
      assert.equal((await world.call('GET', `/users/${id}/dashboard`, { token })).status, 200);
    });
  });

  it('use an index at reuse, revocation, logout and the end of a user', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    const { body } = await rp.redeem((await rp.signIn(agent)).code ?? '');
    const other = await rp.redeem((await rp.signIn(agent)).code ?? '');

    await assertIndexed(async () => {
      await rp.call('/revoke', { token: other.body.access_token ?? '' });
      await rp.call('/revoke', { token: body.refresh_token ?? '' });
      const confirm = await agent.get(`${tenant.issuer}/logout`);
      await agent.submit(confirm, '/logout/confirm', { logout: 'yes' });
      await app.services.users.disable(tenant.actor, rp.user.id);
    });
  });
});
