import assert from 'node:assert/strict';
import { exportJWK, generateKeyPair } from 'jose';
import * as client from 'openid-client';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createMachine } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

const API = 'https://api.example/';
const GOODBYE = 'https://app.example/goodbye';

/** A certified client that knows nothing of this server but its issuer. */
describe('openid-client', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    await app.services.resources.create(tenant.actor, { identifier: API, scopes: [{ name: 'read' }] });
  });
  after(() => app.close());

  const discover = (
    rp: { clientId: string },
    authentication: client.ClientAuth,
    algorithm?: 'oidc' | 'oauth2',
  ) =>
    client.discovery(new URL(tenant.issuer), rp.clientId, undefined, authentication, {
      execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
      ...(algorithm ? { algorithm } : {}),
    });
  const asWeb = async () => {
    const rp = await createRelyingParty(app, tenant, { metadata: { post_logout_redirect_uris: [GOODBYE] } });
    return { rp, config: await discover(rp, client.ClientSecretBasic(rp.clientSecret)) };
  };
  const asSpa = async () => {
    const rp = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
    return { rp, config: await discover(rp, client.None()) };
  };

  async function signIn(
    { rp, config }: { rp: RelyingParty; config: client.Configuration },
    {
      params = {},
      pushed = false,
      DPoP,
      agent = createUserAgent(),
    }: {
      params?: Record<string, string>;
      pushed?: boolean;
      DPoP?: client.DPoPHandle;
      agent?: ReturnType<typeof createUserAgent>;
    } = {},
  ) {
    const [verifier, state, nonce] = [
      client.randomPKCECodeVerifier(),
      client.randomState(),
      client.randomNonce(),
    ];
    const request = {
      redirect_uri: REDIRECT_URI,
      scope: 'openid email',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
      ...params,
    };
    const options = DPoP ? { DPoP } : {};
    const url = pushed
      ? await client.buildAuthorizationUrlWithPAR(config, request, options)
      : client.buildAuthorizationUrl(config, request);
    const callback = await rp.visit(url.href, agent);
    const checks = {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    };
    return client.authorizationCodeGrant(config, callback, checks, undefined, options);
  }

  for (const algorithm of ['oidc', 'oauth2'] as const) {
    it(`finds the metadata: ${algorithm}`, async () => {
      const rp = await createMachine(app, tenant);

      const config = await discover(rp, client.ClientSecretBasic(rp.secret), algorithm);

      assert.equal(config.serverMetadata().issuer, tenant.issuer);
      assert.equal(config.serverMetadata().supportsPKCE(), true);
    });
  }

  for (const [kind, make] of Object.entries({ 'a web app': asWeb, 'a single-page app': asSpa })) {
    it(`signs in, reads the profile and refreshes as ${kind}`, async () => {
      const { rp, config } = await make();

      const tokens = await signIn({ rp, config });
      const claims = tokens.claims();
      const profile = await client.fetchUserInfo(config, tokens.access_token, claims?.sub ?? '');
      const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '');

      assert.equal(claims?.sub, rp.user.id);
      assert.deepEqual([profile.sub, profile.email], [rp.user.id, rp.user.email]);
      assert.equal(refreshed.claims()?.sub, rp.user.id);
      assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
    });
  }

  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    it(`verifies ID tokens signed with ${alg}`, async () => {
      const rp = await createRelyingParty(app, tenant, { metadata: { id_token_signed_response_alg: alg } });
      const config = await client.discovery(
        new URL(tenant.issuer),
        rp.clientId,
        { id_token_signed_response_alg: alg },
        client.ClientSecretBasic(rp.clientSecret),
        { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
      );

      const tokens = await signIn({ rp, config });

      assert.equal(tokens.claims()?.sub, rp.user.id);
    });
  }

  it('introspects and revokes', async () => {
    const { rp, config } = await asWeb();
    const tokens = await signIn({ rp, config });

    const before = await client.tokenIntrospection(config, tokens.access_token);
    await client.tokenRevocation(config, tokens.refresh_token ?? '');
    const after = await client.tokenIntrospection(config, tokens.access_token);

    assert.deepEqual([before.active, before.sub, after.active], [true, rp.user.id, false]);
  });

  it('pushes its requests', async () => {
    const { rp, config } = await asWeb();

    const tokens = await signIn({ rp, config }, { pushed: true });

    assert.equal(tokens.claims()?.sub, rp.user.id);
  });

  for (const [kind, make] of Object.entries({ 'a web app': asWeb, 'a single-page app': asSpa })) {
    it(`binds its tokens to a key, nonces and all, as ${kind}`, async () => {
      const { rp, config } = await make();
      const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair());

      const tokens = await signIn({ rp, config }, { DPoP, pushed: true });
      const profile = await client.fetchUserInfo(config, tokens.access_token, rp.user.id, { DPoP });
      const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, {
        DPoP,
      });

      assert.equal(tokens.token_type, 'dpop');
      assert.equal(profile.sub, rp.user.id);
      assert.equal(refreshed.token_type, 'dpop');
    });
  }

  it('gets tokens for a service, with a secret and with a key', async () => {
    const machine = await createMachine(app, tenant);
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const signer = await createMachine(app, tenant, {
      metadata: {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'k' }] },
      },
    });
    const configs = [
      await discover(machine, client.ClientSecretBasic(machine.secret)),
      await discover(signer, client.PrivateKeyJwt({ key: privateKey, kid: 'k' })),
    ];

    for (const config of configs) {
      const tokens = await client.clientCredentialsGrant(config, { resource: API, scope: 'read' });

      assert.deepEqual([tokens.scope, tokens.expires_in], ['read', 600]);
    }
  });

  it('is told of an error with the issuer, which it checks', async () => {
    const { config } = await asWeb();
    const state = client.randomState();
    const url = client.buildAuthorizationUrl(config, { redirect_uri: REDIRECT_URI, state, prompt: 'none' });
    const { location = '' } = await createUserAgent().get(url.href);

    await assert.rejects(
      client.authorizationCodeGrant(config, new URL(location), { expectedState: state }),
      (err) => err instanceof client.AuthorizationResponseError && err.error === 'invalid_request',
    );
  });

  it('signs out and comes back', async () => {
    const { rp, config } = await asWeb();
    const agent = createUserAgent();
    const tokens = await signIn({ rp, config }, { agent });

    const url = client.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token ?? '',
      post_logout_redirect_uri: GOODBYE,
      state: 'bye',
    });
    const page = await agent.get(url.href);
    const { location } = await agent.submit(page, '/logout/confirm', { logout: 'yes' });

    assert.equal(location, `${GOODBYE}?state=bye`);
  });
});
