import { createRemoteJWKSet, customFetch as joseFetch } from 'jose';
import type { JWTVerifyGetKey } from 'jose';
import * as openid from 'openid-client';

/**
 * The demo's side of the protocol: discovery, authorization code + PKCE, refresh, revocation, sign-out.
 * Everything it knows about the server comes from discovery, as for any other application.
 */

export interface DemoClientOptions {
  issuer: string;
  /** Where the demo is mounted, without a trailing slash. */
  baseUrl: string;
  clientId: string;
  /** Absent for a public client. */
  clientSecret?: string | undefined;
  /** Resource indicator of the sample API (RFC 8707). */
  resource: string;
  scope: string;
  fetch?: typeof fetch | undefined;
}

/** What a browser must bring back to finish the sign-in it began; each is used once. */
export interface SignInAttempt {
  state: string;
  nonce: string;
  codeVerifier: string;
}

export interface DemoTokens {
  idToken: string;
  accessToken: string;
  refreshToken: string | undefined;
  scope: string;
  expiresAt: Date;
}

/** What verifying a token takes. */
export interface IssuerKeys {
  issuer: string;
  jwksUri: string;
  keys: JWTVerifyGetKey;
}

export type DemoClient = ReturnType<typeof createDemoClient>;

const TIMEOUT_SECONDS = 10;

export function createDemoClient(options: DemoClientOptions) {
  const { issuer, baseUrl, clientId, clientSecret, resource, scope } = options;
  const fetchWith = options.fetch ?? fetch;
  let discovered: Promise<{ config: openid.Configuration; verification: IssuerKeys }> | undefined;

  /** The server is not listening yet when the demo is built, so discovery waits for its first use. */
  function discover() {
    discovered ??= load().catch((err: unknown) => {
      discovered = undefined;
      throw err;
    });
    return discovered;
  }

  async function load() {
    const server = new URL(issuer);
    const authentication = clientSecret ? openid.ClientSecretBasic(clientSecret) : openid.None();
    const execute = [openid.enableNonRepudiationChecks];
    // oxlint-disable-next-line typescript/no-deprecated -- marked so only to stand out; http is for loopback alone
    if (server.protocol === 'http:') execute.push(openid.allowInsecureRequests);
    const config = await openid.discovery(server, clientId, undefined, authentication, {
      execute,
      timeout: TIMEOUT_SECONDS,
      [openid.customFetch]: (url, init) => fetchWith(url, init as RequestInit),
    });

    const jwksUri = config.serverMetadata().jwks_uri;
    if (!jwksUri) throw new Error('the discovery document has no jwks_uri');
    const keys = createRemoteJWKSet(new URL(jwksUri), {
      cooldownDuration: 5000,
      timeoutDuration: TIMEOUT_SECONDS * 1000,
      [joseFetch]: (url, init) => fetchWith(url, init),
    });
    return { config, verification: { issuer: config.serverMetadata().issuer, jwksUri, keys } };
  }

  return {
    async verification(): Promise<IssuerKeys> {
      return (await discover()).verification;
    },

    /** @returns where to send the browser, and what to remember for its return */
    async startSignIn(): Promise<{ url: URL; attempt: SignInAttempt }> {
      const { config } = await discover();
      const attempt = {
        state: openid.randomState(),
        nonce: openid.randomNonce(),
        codeVerifier: openid.randomPKCECodeVerifier(),
      };
      const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: `${baseUrl}/callback`,
        scope,
        resource,
        state: attempt.state,
        nonce: attempt.nonce,
        code_challenge: await openid.calculatePKCECodeChallenge(attempt.codeVerifier),
        code_challenge_method: 'S256',
      });
      return { url, attempt };
    },

    /**
     * Checks state, issuer (RFC 9207), nonce and the ID token's signature, and redeems the code with its verifier.
     * @param query the query the browser came back with
     */
    async finishSignIn(query: URLSearchParams, attempt: SignInAttempt): Promise<DemoTokens> {
      const { config } = await discover();
      const answer = await openid.authorizationCodeGrant(
        config,
        new URL(`${baseUrl}/callback?${query.toString()}`),
        {
          expectedState: attempt.state,
          expectedNonce: attempt.nonce,
          pkceCodeVerifier: attempt.codeVerifier,
          idTokenExpected: true,
        },
        { resource },
      );
      return tokensOf(answer, undefined);
    },

    async refresh(tokens: DemoTokens): Promise<DemoTokens> {
      if (!tokens.refreshToken) throw new Error('there is no refresh token');
      const { config } = await discover();
      return tokensOf(await openid.refreshTokenGrant(config, tokens.refreshToken, { resource }), tokens);
    },

    async revoke(token: string): Promise<void> {
      const { config } = await discover();
      await openid.tokenRevocation(config, token, { token_type_hint: 'refresh_token' });
    },

    /** RP-initiated logout: the hint tells the server whose session and which application it is. */
    async signOutUrl(idToken: string): Promise<URL> {
      const { config } = await discover();
      return openid.buildEndSessionUrl(config, {
        id_token_hint: idToken,
        post_logout_redirect_uri: `${baseUrl}/signed-out`,
      });
    },

    /** Calls the sample API the way an application's back end does. */
    async callApi(accessToken: string): Promise<{ status: number; body: string; challenge: string | null }> {
      const answer = await fetchWith(`${resource}/hello`, {
        headers: { authorization: `Bearer ${accessToken}`, accept: 'application/json' },
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000),
      });
      return {
        status: answer.status,
        body: await answer.text(),
        challenge: answer.headers.get('www-authenticate'),
      };
    },
  };
}

type TokenAnswer = Awaited<ReturnType<typeof openid.refreshTokenGrant>>;

/** A refresh may leave out what did not change (RFC 6749 §5.1, OpenID Connect Core §12.2). */
function tokensOf(answer: TokenAnswer, previous: DemoTokens | undefined): DemoTokens {
  const idToken = answer.id_token ?? previous?.idToken;
  if (!idToken) throw new Error('the token response has no ID token');
  return {
    idToken,
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token ?? previous?.refreshToken,
    scope: answer.scope ?? previous?.scope ?? '',
    expiresAt: new Date(Date.now() + (answer.expiresIn() ?? 0) * 1000),
  };
}
