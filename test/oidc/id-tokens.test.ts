import assert from 'node:assert/strict';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { tokensOf } from '../support/token-sets.ts';

describe('ID tokens and claims', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    rp = await createRelyingParty(app, tenant);
  });
  after(() => app.close());

  const idTokenOf = async (authorize: Record<string, string>) =>
    decodeJwt((await tokensOf(rp, { authorize })).id_token);
  const userinfo = async (authorize: Record<string, string>) => {
    const { access_token: token } = await tokensOf(rp, { authorize });
    const response = await fetch(`${tenant.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return (await response.json()) as Record<string, unknown>;
  };

  it('say who, for whom, by whom, until when and in answer to what, and no more', async () => {
    const { id_token: token } = await tokensOf(rp, {
      authorize: { nonce: 'n-1', scope: 'openid email profile' },
    });

    const { iat, exp, at_hash: hash, ...claims } = decodeJwt(token);
    assert.deepEqual(claims, { iss: tenant.issuer, sub: rp.user.id, aud: rp.clientId, nonce: 'n-1' });
    assert.equal(Number(exp) - Number(iat), 3600);
    assert.ok(hash === undefined || typeof hash === 'string');
    assert.notEqual(decodeProtectedHeader(token).typ, 'at+jwt');
  });

  it('are given only where openid was asked for', async () => {
    const { id_token: token } = await tokensOf(rp, { authorize: { scope: 'email' } });

    assert.equal(token, '');
  });

  it('have no nonce that nobody sent', async () => {
    assert.ok(!('nonce' in (await idTokenOf({}))));
  });

  it('name the same person to every client', async () => {
    const other = await createRelyingParty(app, tenant);

    const [mine, theirs] = [await idTokenOf({}), decodeJwt((await tokensOf(other)).id_token)];

    assert.equal(mine.sub, rp.user.id);
    assert.notEqual(mine.sub, theirs.sub);
    assert.match(mine.sub ?? '', /^[0-9a-f-]{36}$/);
  });

  it('say when and how somebody signed in, where that is asked for', async () => {
    const claims = { id_token: { auth_time: { essential: true }, amr: null } };

    const { auth_time: at, amr } = await idTokenOf({ claims: JSON.stringify(claims) });

    assert.ok(Math.abs(Number(at) - Date.now() / 1000) < 60);
    assert.deepEqual(amr, ['pwd']);
  });

  it('claim no assurance that was not reached', async () => {
    const claims = { id_token: { acr: { values: ['urn:gold'] } } };

    const { acr } = await idTokenOf({ claims: JSON.stringify(claims), acr_values: 'urn:silver' });

    assert.equal(acr, undefined);
  });

  it('always have auth_time for a client that wants it', async () => {
    const strict = await createRelyingParty(app, tenant, { metadata: { require_auth_time: true } });

    const { id_token: token } = await tokensOf(strict);

    assert.equal(typeof decodeJwt(token)['auth_time'], 'number');
  });

  it('carry single claims that were asked for and allowed', async () => {
    const claims = { id_token: { email: { essential: true } }, userinfo: { email_verified: null } };

    const token = await idTokenOf({ claims: JSON.stringify(claims) });
    const profile = await userinfo({ claims: JSON.stringify(claims) });

    assert.equal(token['email'], rp.user.email);
    assert.deepEqual(profile, { sub: rp.user.id, email_verified: true });
  });

  it('for a person who is asked for by name are given to nobody else', async () => {
    const claims = { id_token: { sub: { value: 'somebody-else' } } };
    const url = rp.authorizationUrl({ claims: JSON.stringify(claims), prompt: 'none' });

    const { searchParams } = await rp.visit(url);

    assert.equal(searchParams.get('error'), 'login_required');
  });

  describe('userinfo', () => {
    before(() =>
      app
        .db('user_profiles')
        .where({ user_id: rp.user.id })
        .update({
          claims: {
            name: 'Ana Ä. Lovelace',
            given_name: 'Ana',
            family_name: 'Lovelace',
            locale: 'de',
            phone_number: '+49 1',
          },
        }),
    );

    for (const [scope, names] of Object.entries({
      openid: ['sub'],
      'openid email': ['email', 'email_verified', 'sub'],
      'openid profile': ['family_name', 'given_name', 'locale', 'name', 'sub', 'updated_at'],
      'openid phone': ['phone_number', 'phone_number_verified', 'sub'],
    })) {
      it(`tells what ${scope} stands for`, async () => {
        const profile = await userinfo({ scope });

        assert.deepEqual(new Set(Object.keys(profile)), new Set(names));
        assert.equal(profile['sub'], rp.user.id);
      });
    }
  });
});
