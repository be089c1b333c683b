import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { CODE_CHALLENGE, createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { introspect, tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

const MAIL = 'https://mail.example/';
const FILES = 'https://files.example/';
const OPAQUE = 'https://opaque.example/';

describe('resource indicators (RFC 8707) with people', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    for (const [identifier, accessTokenFormat] of [
      [MAIL, 'jwt'],
      [FILES, 'jwt'],
      [OPAQUE, 'opaque'],
    ] as const) {
      const scopes = ['read', `${new URL(identifier).hostname.split('.')[0]}:write`].map((name) => ({
        name,
      }));
      await app.services.resources.create(tenant.actor, { identifier, accessTokenFormat, scopes });
    }
    rp = await createRelyingParty(app, tenant);
  });
  after(() => app.close());

  const userinfo = (token: string, init: RequestInit = {}) =>
    fetch(`${tenant.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` }, ...init });
  const both = { scope: 'openid offline_access read mail:write files:write', prompt: 'consent' };
  /** The test client's parameters can hold one value each. */
  const authorizeBoth = async () => {
    const agent = createUserAgent();
    await rp.signIn(agent, { ...both, resource: MAIL });
    await rp.signIn(agent, { ...both, resource: FILES });
    const url = `${rp.authorizationUrl({ ...both, prompt: undefined, resource: MAIL })}&resource=${encodeURIComponent(FILES)}`;
    const { location = '' } = await agent.follow(await agent.get(url), tenant.issuer);
    return new URL(location).searchParams.get('code') ?? '';
  };

  it('give a JWT for the granted resource without naming it again', async () => {
    const tokens = await tokensOf(rp, { authorize: { scope: 'openid read mail:write', resource: MAIL } });

    const { aud, iss, sub, client_id: clientId, scope } = decodeJwt(tokens.access_token);
    assert.deepEqual(
      { aud, iss, sub, clientId, scope },
      { aud: MAIL, iss: tenant.issuer, sub: rp.user.id, clientId: rp.clientId, scope: 'read mail:write' },
    );
    assert.equal(decodeJwt(tokens.id_token).aud, rp.clientId);
  });

  it('give an opaque token for a resource that wants one', async () => {
    const tokens = await tokensOf(rp, { authorize: { scope: 'openid read', resource: OPAQUE } });

    const { active, aud, scope } = await introspect(rp, tokens.access_token);
    assert.match(tokens.access_token, /^at_/);
    assert.deepEqual({ active, aud, scope }, { active: true, aud: OPAQUE, scope: 'read' });
  });

  it('give one audience, which has to be chosen among several', async () => {
    const undecided = await rp.redeem(await authorizeBoth());
    const mail = await rp.redeem(await authorizeBoth(), { resource: MAIL });

    assert.deepEqual([undecided.status, undecided.body.error], [400, 'invalid_target']);
    assert.equal(mail.status, 200, JSON.stringify(mail.body));
    assert.equal(decodeJwt(mail.body.access_token ?? '').aud, MAIL);
  });

  it('keep the scopes of one resource out of the tokens of another', async () => {
    const { body: mail } = await rp.redeem(await authorizeBoth(), { resource: MAIL });

    const { body: files } = await rp.refresh(mail.refresh_token ?? '', { resource: FILES });

    assert.equal(decodeJwt(mail.access_token ?? '')['scope'], 'read mail:write');
    assert.equal(decodeJwt(files.access_token ?? '').aud, FILES);
    assert.equal(decodeJwt(files.access_token ?? '')['scope'], 'read files:write');
  });

  it('refresh for the granted resource without naming it again', async () => {
    const tokens = await tokensOf(rp, { authorize: { scope: 'openid read', resource: MAIL } });

    const { body } = await rp.refresh(tokens.refresh_token);

    assert.equal(decodeJwt(body.access_token ?? '').aud, MAIL);
  });

  for (const resource of [FILES, 'https://unknown.example/', 'https://mail.example', 'not a uri']) {
    it(`have invalid_target at the token endpoint for what was not granted: ${resource}`, async () => {
      const { code = '' } = await rp.signIn(createUserAgent(), { scope: 'openid read', resource: MAIL });

      const { status, body } = await rp.redeem(code, { resource });

      assert.deepEqual([status, body.error], [400, 'invalid_target']);
    });
  }

  for (const resource of ['https://unknown.example/', 'not-a-uri', `${MAIL}#part`]) {
    it(`have invalid_target at the authorization endpoint for ${resource}`, async () => {
      const { location = '' } = await createUserAgent().get(rp.authorizationUrl({ resource }));

      assert.equal(new URL(location).searchParams.get('error'), 'invalid_target');
    });
  }

  it('are named on the consent page, and consent to one is none to another', async () => {
    const agent = createUserAgent();
    const other = await createRelyingParty(app, tenant);
    await other.signIn(agent, { scope: 'openid read', resource: MAIL });

    const again = await agent.get(other.authorizationUrl({ scope: 'openid read', resource: MAIL }));
    const elsewhere = await agent.follow(
      await agent.get(other.authorizationUrl({ scope: 'openid read', resource: FILES })),
      tenant.issuer,
    );

    assert.ok(again.location?.startsWith(REDIRECT_URI));
    assert.match(elsewhere.body, /name="decision"/);
    assert.ok(elsewhere.body.includes(FILES));
  });

  describe('userinfo', () => {
    it('answers to an opaque token without audience', async () => {
      const tokens = await tokensOf(rp, { authorize: { scope: 'openid email' } });

      const response = await userinfo(tokens.access_token);

      assert.deepEqual(await response.json(), {
        sub: rp.user.id,
        email: rp.user.email,
        email_verified: true,
      });
    });

    it('answers to a token that is posted', async () => {
      const tokens = await tokensOf(rp);

      const response = await fetch(`${tenant.issuer}/userinfo`, {
        method: 'POST',
        body: new URLSearchParams({ access_token: tokens.access_token }),
      });

      assert.equal(response.status, 200);
    });

    it('takes no token from the address', async () => {
      const tokens = await tokensOf(rp);

      const response = await fetch(`${tenant.issuer}/userinfo?access_token=${tokens.access_token}`);

      assert.ok(response.status === 400 || response.status === 401);
    });

    for (const resource of [MAIL, OPAQUE]) {
      it(`refuses a token that was made for ${resource}`, async () => {
        const tokens = await tokensOf(rp, { authorize: { scope: 'openid read', resource } });

        const response = await userinfo(tokens.access_token);

        assert.ok([401, 403].includes(response.status));
        assert.match(
          response.headers.get('www-authenticate') ?? '',
          /^Bearer .*error="(invalid_token|insufficient_scope)"/,
        );
      });
    }

    for (const [what, token] of Object.entries<() => Promise<string>>({
      'an ID token': async () => (await tokensOf(rp)).id_token,
      'a refresh token': async () => (await tokensOf(rp)).refresh_token,
      'a code': async () => (await rp.signIn()).code ?? '',
      'a shortened token': async () => (await tokensOf(rp)).access_token.slice(0, -1),
      'a lengthened token': async () => `${(await tokensOf(rp)).access_token}a`,
      'a token in capitals': async () => (await tokensOf(rp)).access_token.toUpperCase(),
      'an unknown token': async () => 'at_unknown',
    })) {
      it(`refuses ${what}`, async () => {
        const response = await userinfo(await token());

        assert.equal(response.status, 401);
      });
    }

    it('needs the openid scope', async () => {
      const tokens = await tokensOf(rp, { authorize: { scope: 'email' } });

      const response = await userinfo(tokens.access_token);

      assert.equal(response.status, 403);
    });
  });

  describe('of the client', () => {
    it('and its default scope fill in what a request leaves out', async () => {
      const set = await createRelyingParty(app, tenant, {
        defaultScope: 'openid read',
        defaultResource: MAIL,
      });

      const tokens = await tokensOf(set, { authorize: { scope: undefined } });

      assert.equal(decodeJwt(tokens.access_token).aud, MAIL);
      assert.equal(decodeJwt(tokens.access_token)['scope'], 'read');
      assert.equal(decodeJwt(tokens.id_token).sub, set.user.id);
    });

    it('fill in what a pushed request leaves out, too', async () => {
      const set = await createRelyingParty(app, tenant, { defaultScope: 'openid email' });
      const pushed = await set.call('/par', {
        client_id: set.clientId,
        response_type: 'code',
        redirect_uri: REDIRECT_URI,
        code_challenge: CODE_CHALLENGE,
        code_challenge_method: 'S256',
      });

      const { code = '' } = await set.signIn(createUserAgent(), {
        request_uri: String(pushed.body['request_uri']),
        scope: undefined,
      });
      const { body } = await set.redeem(code);

      assert.equal(body.scope, 'openid email');
    });

    for (const [where, ask] of Object.entries<(limited: RelyingParty) => Promise<string | null | undefined>>({
      'the authorization endpoint': async (limited) => {
        const url = limited.authorizationUrl({ scope: 'openid read mail:write', resource: MAIL });
        return new URL((await createUserAgent().get(url)).location ?? '').searchParams.get('error');
      },
      'the PAR endpoint': async (limited) =>
        (
          await limited.call('/par', {
            client_id: limited.clientId,
            response_type: 'code',
            redirect_uri: REDIRECT_URI,
            scope: 'openid read mail:write',
            resource: MAIL,
            code_challenge: CODE_CHALLENGE,
            code_challenge_method: 'S256',
          })
        ).body.error,
    })) {
      it(`limit which scopes it may ask for at ${where}`, async () => {
        const limited = await createRelyingParty(app, tenant, { metadata: { scope: 'openid read' } });

        const error = await ask(limited);

        assert.equal(error, 'invalid_scope');
      });
    }

    it('let it ask for what is within its limits', async () => {
      const limited = await createRelyingParty(app, tenant, { metadata: { scope: 'openid read' } });

      const tokens = await tokensOf(limited, { authorize: { scope: 'openid read', resource: MAIL } });

      assert.equal(decodeJwt(tokens.access_token)['scope'], 'read');
    });
  });
});
