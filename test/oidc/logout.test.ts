import assert from 'node:assert/strict';
import { decodeJwt, importJWK, SignJWT } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { signOut } from '../support/sign-out.ts';
import { isActive, tokensOf } from '../support/token-sets.ts';
import type { TokenSet } from '../support/token-sets.ts';
import { createUserAgent, formsOf } from '../support/user-agent.ts';
import type { UserAgent } from '../support/user-agent.ts';

const GOODBYE = 'https://app.example/goodbye';

describe('RP-initiated logout', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  async function signedIn(of = tenant): Promise<{ rp: RelyingParty; agent: UserAgent; tokens: TokenSet }> {
    const rp = await createRelyingParty(app, of, { metadata: { post_logout_redirect_uris: [GOODBYE] } });
    const agent = createUserAgent();
    return { rp, agent, tokens: await tokensOf(rp, { agent }) };
  }

  const ask = (agent: UserAgent, params: Record<string, string> = {}) =>
    agent.get(`${tenant.issuer}/logout?${new URLSearchParams(params).toString()}`);
  const isSignedIn = async (rp: RelyingParty, agent: UserAgent) => {
    const { location = '' } = await agent.get(rp.authorizationUrl({ prompt: 'none' }));
    return new URL(location).searchParams.has('code');
  };

  it('asks first, and the question alone signs nobody out', async () => {
    const { rp, agent, tokens } = await signedIn();

    const { status, body } = await ask(agent);

    assert.equal(status, 200);
    assert.ok(body.includes(rp.user.email));
    assert.ok(!body.includes('data-auto-submit'));
    assert.equal(await isSignedIn(rp, agent), true);
    assert.equal(await isActive(rp, tokens.access_token), true);
  });

  it('needs no question when the app shows an ID token of who is signed in, but still a form', async () => {
    const { rp, agent, tokens } = await signedIn();

    const { body } = await ask(agent, { id_token_hint: tokens.id_token });

    assert.ok(body.includes('data-auto-submit'));
    assert.equal(await isSignedIn(rp, agent), true);
  });

  it('asks when the ID token is of somebody else', async () => {
    const { agent } = await signedIn();
    const other = await signedIn();

    const { status, body } = await ask(agent, { id_token_hint: other.tokens.id_token });

    assert.equal(status, 200);
    assert.ok(!body.includes('data-auto-submit'));
  });

  it('takes an ID token that has expired', async () => {
    const { agent, tokens } = await signedIn();
    const [key] = await app.services.keys.signingJwks(tenant.tenant.id);
    assert.ok(key);
    const old = await new SignJWT({ ...decodeJwt(tokens.id_token), exp: 1000, iat: 900 })
      .setProtectedHeader({ alg: key.alg, kid: key.kid })
      .sign(await importJWK(key, key.alg));

    const { status, body } = await ask(agent, { id_token_hint: old });

    assert.equal(status, 200);
    assert.ok(body.includes('data-auto-submit'));
  });

  it('ends the session, its cookie and its grants, and says so once', async () => {
    const { rp, agent, tokens } = await signedIn();

    const { status, location } = await signOut(agent, tenant.issuer);
    const page = await agent.get(location ?? '');

    assert.equal(status, 303);
    assert.equal(location, `${tenant.issuer}/logout/success`);
    assert.equal(page.status, 200);
    assert.equal(await isSignedIn(rp, agent), false);
    for (const token of [tokens.access_token, tokens.refresh_token])
      assert.equal(await isActive(rp, token), false);
    const events = await app
      .db('events')
      .where({ tenant_id: tenant.tenant.id, type: 'user.logout', target_id: rp.user.id });
    assert.deepEqual(
      events.map((event) => [event.actor_type, event.actor_id]),
      [['user', rp.user.id]],
    );
  });

  it('leaves a stolen session cookie worthless', async () => {
    const { rp, agent } = await signedIn();
    const thief = createUserAgent();
    thief.cookies.push(...agent.cookies.map((cookie) => ({ ...cookie })));

    const before = await isSignedIn(rp, thief);
    await signOut(agent, tenant.issuer);

    assert.equal(before, true);
    assert.equal(await isSignedIn(rp, thief), false);
  });

  it('asks for the password of the account at the next sign-in', async () => {
    const { rp, agent } = await signedIn();
    await signOut(agent, tenant.issuer);

    const { body } = await agent.follow(await agent.get(rp.authorizationUrl()), tenant.issuer);

    assert.match(body, /name="password"/);
    assert.ok(body.includes(rp.user.email));
  });

  it('of one app only, where the person wants that', async () => {
    const { rp, agent, tokens } = await signedIn();
    const other = await createRelyingParty(app, tenant, { firstParty: true });
    await agent.get(other.authorizationUrl());
    const page = await ask(agent, { client_id: rp.clientId });

    await agent.submit(page, '/logout/confirm');

    assert.equal(await isActive(rp, tokens.access_token), false);
    assert.equal(await isSignedIn(other, agent), true);
  });

  it('is nothing more than a page where nobody is signed in', async () => {
    const agent = createUserAgent();

    const { status } = await signOut(agent, tenant.issuer);

    assert.equal(status, 303);
  });

  it('leaves the sessions of other tenants alone', async () => {
    const { agent } = await signedIn();
    const other = await app.tenant();
    const there = await createRelyingParty(app, other);
    await there.signIn(agent);

    await signOut(agent, tenant.issuer);

    assert.equal(await isSignedIn(there, agent), true);
  });

  for (const forged of ['nothing', 'made-up', 'foreign'] as const) {
    it(`cannot be confirmed from elsewhere: ${forged} for a token`, async () => {
      const { rp, agent } = await signedIn();
      await ask(agent);
      const stranger = await signedIn();
      const [foreign] = formsOf((await ask(stranger.agent)).body);
      const xsrf = { nothing: '', 'made-up': 'abc', foreign: foreign?.hidden['xsrf'] ?? '' }[forged];

      const { status, location } = await agent.post(`${tenant.issuer}/logout/confirm`, {
        logout: 'yes',
        xsrf,
      });

      assert.deepEqual([status, location], [400, undefined]);
      assert.equal(await isSignedIn(rp, agent), true);
    });
  }

  describe('returns to the app', () => {
    for (const [by, params] of Object.entries({
      'an ID token': ({ tokens }: Awaited<ReturnType<typeof signedIn>>) => ({
        id_token_hint: tokens.id_token,
      }),
      'its client id': ({ rp }: Awaited<ReturnType<typeof signedIn>>) => ({ client_id: rp.clientId }),
    })) {
      it(`at the registered address, with its state, when ${by} says which app it is`, async () => {
        const session = await signedIn();

        const page = await ask(session.agent, {
          post_logout_redirect_uri: GOODBYE,
          state: 'a&b="c"',
          ...params(session),
        });
        const { location } = await session.agent.submit(page, '/logout/confirm', { logout: 'yes' });

        assert.equal(location, `${GOODBYE}?state=a%26b%3D%22c%22`);
        assert.match(
          page.headers.get('content-security-policy') ?? '',
          /form-action 'self' https:\/\/app\.example/,
        );
      });
    }

    it('without a state when none was given', async () => {
      const { rp, agent } = await signedIn();

      const { location } = await signOut(agent, tenant.issuer, {
        client_id: rp.clientId,
        post_logout_redirect_uri: GOODBYE,
      });

      assert.equal(location, GOODBYE);
    });

    for (const uri of [
      'https://evil.example/',
      `${GOODBYE}/`,
      `${GOODBYE}?next=https://evil.example`,
      `${GOODBYE}#x`,
      'https://app.example.evil.example/goodbye',
      'https://app.example@evil.example/goodbye',
      'http://app.example/goodbye',
      'HTTPS://app.example/goodbye',
      '//app.example/goodbye',
      'javascript:alert(1)',
      'https://app.example/callback',
    ]) {
      it(`nowhere else: ${uri}`, async () => {
        const { rp, agent } = await signedIn();

        const { status, location, headers } = await ask(agent, {
          client_id: rp.clientId,
          post_logout_redirect_uri: uri,
        });

        assert.deepEqual([status, location], [400, undefined]);
        assert.doesNotMatch(headers.get('content-security-policy') ?? '', /evil|javascript/);
        assert.equal(await isSignedIn(rp, agent), true);
      });
    }

    it('not without saying which app it is', async () => {
      const { agent } = await signedIn();

      const { location } = await signOut(agent, tenant.issuer, { post_logout_redirect_uri: GOODBYE });

      assert.equal(location, `${tenant.issuer}/logout/success`);
    });
  });

  describe('refuses', () => {
    for (const [fault, params] of Object.entries<() => Promise<Record<string, string>>>({
      'an ID token of another tenant': async () => ({
        id_token_hint: (await signedIn(await app.tenant())).tokens.id_token,
      }),
      'an ID token that was changed': async () => {
        const [header, , signature] = (await signedIn()).tokens.id_token.split('.');
        const payload = Buffer.from(JSON.stringify({ sub: 'x', aud: 'y', iss: tenant.issuer })).toString(
          'base64url',
        );
        return { id_token_hint: `${header}.${payload}.${signature}` };
      },
      'an ID token and another app': async () => ({
        id_token_hint: (await signedIn()).tokens.id_token,
        client_id: (await createRelyingParty(app, tenant)).clientId,
      }),
      'an unknown app': async () => ({ client_id: 'nobody' }),
    })) {
      it(`${fault}`, async () => {
        const { rp, agent } = await signedIn();

        const { status, location } = await ask(agent, await params());

        assert.deepEqual([status, location], [400, undefined]);
        assert.equal(await isSignedIn(rp, agent), true);
      });
    }
  });

  it('can be asked for by a form', async () => {
    const { rp, agent, tokens } = await signedIn();

    const posted = await agent.post(`${tenant.issuer}/logout`, {
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: GOODBYE,
    });
    const page = await agent.follow(posted, tenant.issuer);
    const { location } = await agent.submit(page, '/logout/confirm', { logout: 'yes' });

    assert.equal(location, GOODBYE);
    assert.equal(await isSignedIn(rp, agent), false);
  });
});
