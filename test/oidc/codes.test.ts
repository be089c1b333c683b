import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { CODE_VERIFIER, createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { signOut } from '../support/sign-out.ts';
import { basicAuth, isActive } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

describe('authorization codes', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  beforeEach(async () => {
    rp = await createRelyingParty(app, tenant);
  });
  after(() => app.close());

  const codeOf = async (agent = createUserAgent()) => (await rp.signIn(agent)).code ?? '';
  const age = (seconds: number) =>
    app.db.raw(
      `UPDATE oidc_models
          SET payload = jsonb_set(payload, '{exp}', to_jsonb((payload->>'exp')::bigint - ?::bigint))
        WHERE tenant_id = ? AND model = 'AuthorizationCode' AND client_id = ?`,
      [seconds, tenant.tenant.id, rp.clientId],
    );

  it('live for a minute', async () => {
    const [inTime, late] = [await codeOf(), await codeOf()];

    await age(50);
    const first = await rp.redeem(inTime);
    await age(11);
    const second = await rp.redeem(late);

    assert.equal(first.status, 200);
    assert.deepEqual([second.status, second.body.error], [400, 'invalid_grant']);
  });

  it('expire by the clock of the database, and end nothing by it', async () => {
    const agent = createUserAgent();
    const { body: earlier } = await rp.redeem(await codeOf(agent));
    const code = await codeOf(agent);
    await app.db.raw(
      `UPDATE oidc_models SET expires_at = now() - interval '1 second'
        WHERE tenant_id = ? AND model = 'AuthorizationCode' AND client_id = ?`,
      [tenant.tenant.id, rp.clientId],
    );

    const late = await rp.redeem(code);

    assert.deepEqual([late.status, late.body.error], [400, 'invalid_grant']);
    assert.equal(await isActive(rp, earlier.access_token ?? ''), true);
  });

  it('are redeemed by the client they were given to, whoever tries before', async () => {
    const thief = await createRelyingParty(app, tenant);
    const spa = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
    const code = await codeOf();

    const stolen = [await thief.redeem(code), await spa.redeem(code)];
    const own = await rp.redeem(code);

    for (const { status, body } of stolen) assert.deepEqual([status, body.error], [400, 'invalid_grant']);
    assert.equal(own.status, 200);
  });

  it('take everything with them that they gave when they come back', async () => {
    const code = await codeOf();
    const { body: first } = await rp.redeem(code);
    const { body: second } = await rp.refresh(first.refresh_token ?? '');

    const again = await rp.redeem(code);

    assert.deepEqual([again.status, again.body.error], [400, 'invalid_grant']);
    for (const token of [first.access_token, second.access_token, second.refresh_token])
      assert.equal(await isActive(rp, token ?? ''), false);
  });

  for (const [change, changed] of Object.entries<(code: string) => string>({
    'without their last letter': (code) => code.slice(0, -1),
    'with a letter more': (code) => `${code}a`,
    'in another case': (code) => code.replace(/[a-z](?=[^a-z]*$)/, (letter) => letter.toUpperCase()),
    'without their prefix': (code) => code.replace(/^ac_/, ''),
    'with space around': (code) => ` ${code} `,
    'as something else': () => 'ac_unknown',
  })) {
    it(`are nothing ${change}`, async () => {
      const code = await codeOf();

      const { status, body } = await rp.redeem(changed(code));

      assert.deepEqual([status, body.error], [400, 'invalid_grant']);
      assert.equal((await rp.redeem(code)).status, 200);
    });
  }

  for (const name of ['grant_type', 'code', 'redirect_uri', 'code_verifier', 'client_id']) {
    it(`are redeemed by a request that says everything once: ${name}`, async () => {
      const code = await codeOf();
      const form = new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        redirect_uri: REDIRECT_URI,
        code_verifier: CODE_VERIFIER,
        client_id: rp.clientId,
      });
      form.append(name, form.get(name) ?? '');

      const response = await fetch(`${tenant.issuer}/token`, {
        method: 'POST',
        headers: { authorization: basicAuth(rp.clientId, rp.clientSecret ?? '') },
        body: form,
      });

      assert.equal(response.status, 400);
      assert.equal((await rp.redeem(code)).status, 200);
    });
  }

  it('are nothing at other doors', async () => {
    const code = await codeOf();

    assert.equal((await rp.refresh(code)).body.error, 'invalid_grant');
    assert.equal(await isActive(rp, code), false);
  });

  it('are worth nothing once the user is disabled', async () => {
    const code = await codeOf();

    await app.services.users.disable(tenant.actor, rp.user.id);

    assert.equal((await rp.redeem(code)).body.error, 'invalid_grant');
  });

  it('are worth nothing once the user has signed out', async () => {
    const agent = createUserAgent();
    const code = await codeOf(agent);

    await signOut(agent, tenant.issuer);

    assert.equal((await rp.redeem(code)).body.error, 'invalid_grant');
  });

  it('are as hard to guess as a key', async () => {
    const code = await codeOf();

    assert.match(code, /^ac_[\w-]{45}$/);
  });
});
