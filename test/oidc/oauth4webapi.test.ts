import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createMachine } from '../support/token-sets.ts';

const API = 'https://api.example/';
const INSECURE = { [oauth.allowInsecureRequests]: true };

/** Step by step, each answer validated by a library of its own. */
describe('oauth4webapi', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let as: oauth.AuthorizationServer;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    await app.services.resources.create(tenant.actor, { identifier: API, scopes: [{ name: 'read' }] });
    as = await discover('oidc');
  });
  after(() => app.close());

  async function discover(algorithm: 'oidc' | 'oauth2') {
    const issuer = new URL(tenant.issuer);
    const response = await oauth.discoveryRequest(issuer, { algorithm, ...INSECURE });
    return oauth.processDiscoveryResponse(issuer, response);
  }

  interface Party {
    rp: RelyingParty;
    client: oauth.Client;
    authentication: oauth.ClientAuth;
  }

  async function party(method: 'none' | 'client_secret_basic' | 'client_secret_post'): Promise<Party> {
    const rp = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: method } });
    const secret = rp.clientSecret ?? '';
    const authentication = {
      none: oauth.None(),
      client_secret_basic: secret ? oauth.ClientSecretBasic(secret) : oauth.None(),
      client_secret_post: secret ? oauth.ClientSecretPost(secret) : oauth.None(),
    }[method];
    return { rp, client: { client_id: rp.clientId }, authentication };
  }

  /** @returns the tokens, their ID token validated and its signature verified */
  async function signIn(
    { rp, client, authentication }: Party,
    { params = {}, DPoP }: { params?: Record<string, string>; DPoP?: oauth.DPoPHandle } = {},
  ) {
    const [verifier, state, nonce] = [
      oauth.generateRandomCodeVerifier(),
      oauth.generateRandomState(),
      oauth.generateRandomNonce(),
    ];
    const query = new URLSearchParams({
      client_id: client.client_id,
      redirect_uri: REDIRECT_URI,
      response_type: 'code',
      scope: 'openid email',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
      ...params,
    });
    const callback = await rp.visit(`${as.authorization_endpoint}?${query.toString()}`);
    const answer = oauth.validateAuthResponse(as, client, callback, state);
    const request = () =>
      oauth.authorizationCodeGrantRequest(as, client, authentication, answer, REDIRECT_URI, verifier, {
        ...INSECURE,
        ...(DPoP ? { DPoP } : {}),
      });
    const process = async (response: Response) => {
      const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, {
        expectedNonce: nonce,
        requireIdToken: true,
      });
      await oauth.validateApplicationLevelSignature(as, response, INSECURE);
      return tokens;
    };
    try {
      return await process(await request());
    } catch (err) {
      if (!oauth.isDPoPNonceError(err)) throw err;
      return process(await request());
    }
  }

  it('reads the same metadata at both addresses', async () => {
    assert.deepEqual(await discover('oauth2'), as);
  });

  for (const method of ['none', 'client_secret_basic', 'client_secret_post'] as const) {
    it(`validates a sign-in, userinfo, refresh, introspection and revocation: ${method}`, async () => {
      const who = await party(method);
      const { rp, client, authentication } = who;

      const tokens = await signIn(who);
      const claims = oauth.getValidatedIdTokenClaims(tokens);
      const profile = await oauth.processUserInfoResponse(
        as,
        client,
        claims?.sub ?? '',
        await oauth.userInfoRequest(as, client, tokens.access_token, INSECURE),
      );
      const refreshed = await oauth.processRefreshTokenResponse(
        as,
        client,
        await oauth.refreshTokenGrantRequest(
          as,
          client,
          authentication,
          tokens.refresh_token ?? '',
          INSECURE,
        ),
      );
      const introspect = async () =>
        oauth.processIntrospectionResponse(
          as,
          client,
          await oauth.introspectionRequest(as, client, authentication, refreshed.access_token, INSECURE),
        );
      const alive = await introspect();
      await oauth.processRevocationResponse(
        await oauth.revocationRequest(as, client, authentication, refreshed.refresh_token ?? '', INSECURE),
      );

      assert.deepEqual([claims?.sub, profile.email], [rp.user.id, rp.user.email]);
      assert.deepEqual([alive.active, alive.sub], [true, rp.user.id]);
      assert.equal((await introspect()).active, false);
    });
  }

  for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) {
    it(`validates a JWT access token as an API would (RFC 9068): ${alg}`, async () => {
      const identifier = `https://${alg.toLowerCase()}.example/`;
      await app.services.resources.create(tenant.actor, {
        identifier,
        scopes: [{ name: 'read' }],
        signingAlg: alg,
      });
      const who = await party('client_secret_basic');
      const tokens = await signIn(who, { params: { scope: 'openid read', resource: identifier } });

      const claims = await oauth.validateJwtAccessToken(
        as,
        new Request(identifier, { headers: { authorization: `Bearer ${tokens.access_token}` } }),
        identifier,
        INSECURE,
      );

      assert.deepEqual(
        [claims.sub, claims.client_id, claims.scope],
        [who.rp.user.id, who.rp.clientId, 'read'],
      );
    });
  }

  it('validates a JWT access token that is bound to a key, with its proof', async () => {
    const who = await party('none');
    const keys = await oauth.generateKeyPair('ES256');
    const DPoP = oauth.DPoP(who.client, keys);
    const tokens = await signIn(who, { DPoP, params: { scope: 'openid read', resource: API } });
    let request: Request | undefined;
    await oauth.protectedResourceRequest(tokens.access_token, 'GET', new URL(API), undefined, undefined, {
      DPoP,
      [oauth.customFetch]: async (url, { method, headers }) => {
        request = new Request(url, { method, headers });
        return new Response();
      },
    });
    assert.ok(request);

    const claims = await oauth.validateJwtAccessToken(as, request, API, { requireDPoP: true, ...INSECURE });

    assert.equal(tokens.token_type, 'dpop');
    assert.ok(claims.cnf?.jkt);
  });

  it('validates a token of a service', async () => {
    const machine = await createMachine(app, tenant);
    const client = { client_id: machine.clientId };

    const tokens = await oauth.processClientCredentialsResponse(
      as,
      client,
      await oauth.clientCredentialsGrantRequest(
        as,
        client,
        oauth.ClientSecretBasic(machine.secret),
        { resource: API, scope: 'read' },
        INSECURE,
      ),
    );

    assert.deepEqual([tokens.token_type, tokens.scope], ['bearer', 'read']);
  });

  it('validates a pushed request', async () => {
    const { client, authentication } = await party('client_secret_basic');

    const pushed = await oauth.processPushedAuthorizationResponse(
      as,
      client,
      await oauth.pushedAuthorizationRequest(
        as,
        client,
        authentication,
        {
          redirect_uri: REDIRECT_URI,
          response_type: 'code',
          scope: 'openid',
          code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()),
          code_challenge_method: 'S256',
        },
        INSECURE,
      ),
    );

    assert.match(pushed.request_uri, /^urn:ietf:params:oauth:request_uri:/);
  });

  it('understands the refusals', async () => {
    const { client } = await party('client_secret_basic');
    const response = await oauth.clientCredentialsGrantRequest(
      as,
      client,
      oauth.ClientSecretBasic('wrong'),
      {},
      INSECURE,
    );

    await assert.rejects(
      oauth.processClientCredentialsResponse(as, client, response),
      (err) => err instanceof oauth.WWWAuthenticateChallengeError && err.status === 401,
    );
  });
});
