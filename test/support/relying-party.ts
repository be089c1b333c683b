import { createHash, randomBytes } from 'node:crypto';
import type { NewClient } from '../../src/clients/client-input.ts';
import { GOOD_PASSWORD } from './app.ts';
import type { TestApp, TestTenant } from './app.ts';
import { createUserAgent } from './user-agent.ts';
import type { Page, UserAgent } from './user-agent.ts';

export const REDIRECT_URI = 'https://app.example/callback';

/** A registered app, a person, and the ways between them; every step is the real HTTP request. */
export interface RelyingParty {
  clientId: string;
  clientSecret: string | undefined;
  user: { id: string; email: string };
  authorizationUrl(params?: Record<string, string | undefined>): string;
  /** Signs in and consents as far as it is asked. @returns the parameters of the redirect to the app */
  signIn(agent?: UserAgent, params?: Record<string, string | undefined>): Promise<Record<string, string>>;
  /** The same from any authorization URL of the tenant. @returns where the app was called back */
  visit(url: string, agent?: UserAgent): Promise<URL>;
  token(
    params: Record<string, string>,
    options?: { baseUrl?: string; headers?: Record<string, string> },
  ): Promise<TokenResponse>;
  redeem(
    code: string,
    params?: Record<string, string>,
    headers?: Record<string, string>,
  ): Promise<TokenResponse>;
  refresh(
    refreshToken: string,
    params?: Record<string, string>,
    headers?: Record<string, string>,
  ): Promise<TokenResponse>;
  /** Calls any endpoint of the tenant as this client. */
  call(path: string, params: Record<string, string>, options?: { baseUrl?: string }): Promise<TokenResponse>;
}

export interface TokenResponse {
  status: number;
  headers: Headers;
  body: Record<string, unknown> & {
    access_token?: string;
    refresh_token?: string;
    id_token?: string;
    error?: string;
    scope?: string;
  };
}

/** Fixed, since all of these requests come from one place; PKCE itself has tests of its own. */
export const CODE_VERIFIER = randomBytes(32).toString('base64url');
export const CODE_CHALLENGE = createHash('sha256').update(CODE_VERIFIER).digest('base64url');

export async function createRelyingParty(
  app: Pick<TestApp, 'services'>,
  { issuer, actor }: TestTenant,
  client: { name?: string; metadata?: Record<string, unknown> } & Partial<Omit<NewClient, 'metadata'>> = {},
): Promise<RelyingParty> {
  const { metadata, ...fields } = client;
  const created = await app.services.clients.create(actor, {
    name: 'Test app',
    metadata: {
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
      ...metadata,
    },
    ...fields,
  });
  const { clientId } = created.client;
  const clientSecret = created.secret;
  const email = `${randomBytes(4).toString('hex')}@example.com`;
  const { id } = await app.services.users.create(actor, {
    email,
    password: GOOD_PASSWORD,
    emailVerified: true,
  });

  const rp: RelyingParty = {
    clientId,
    clientSecret,
    user: { id, email },

    authorizationUrl(params = {}) {
      const query = new URLSearchParams();
      const all: Record<string, string | undefined> = {
        client_id: clientId,
        response_type: 'code',
        redirect_uri: REDIRECT_URI,
        scope: 'openid',
        state: 'a-state',
        code_challenge: CODE_CHALLENGE,
        code_challenge_method: 'S256',
        ...params,
      };
      for (const [name, value] of Object.entries(all)) if (value !== undefined) query.set(name, value);
      return `${issuer}/authorize?${query.toString()}`;
    },

    async signIn(agent = createUserAgent(), params = {}) {
      return Object.fromEntries((await rp.visit(rp.authorizationUrl(params), agent)).searchParams);
    },

    async visit(url, agent = createUserAgent()) {
      let page = await agent.follow(await agent.get(url), issuer);
      for (let steps = 0; steps < 6 && !page.location?.startsWith(REDIRECT_URI); steps += 1) {
        page = await agent.follow(await answer(agent, page), issuer);
      }
      if (!page.location)
        throw new Error(`no redirect to the app but ${page.status}: ${page.body.slice(0, 1500)}`);
      return new URL(page.location);
    },

    token: (params, { baseUrl = issuer, headers = {} } = {}) => send(`${baseUrl}/token`, params, headers),
    redeem: (code, params = {}, headers = {}) =>
      rp.token(
        {
          grant_type: 'authorization_code',
          code,
          redirect_uri: REDIRECT_URI,
          code_verifier: CODE_VERIFIER,
          ...params,
        },
        { headers },
      ),
    refresh: (refreshToken, params = {}, headers = {}) =>
      rp.token({ grant_type: 'refresh_token', refresh_token: refreshToken, ...params }, { headers }),
    call: (path, params, { baseUrl = issuer } = {}) => send(`${baseUrl}${path}`, params, {}),
  };
  return rp;

  function answer(agent: UserAgent, page: Page): Promise<Page> {
    if (
      page.body.includes('/identifier"') &&
      page.body.includes('name="username"') &&
      !page.body.includes('name="password"')
    ) {
      return agent.submit(page, '/identifier', { username: email });
    }
    if (page.body.includes('name="password"'))
      return agent.submit(page, '/password', { password: GOOD_PASSWORD });
    if (page.body.includes('name="decision"')) return agent.submit(page, '/consent', { decision: 'allow' });
    throw new Error(`nothing to answer on ${page.url} (${page.status}): ${page.body.slice(0, 1500)}`);
  }

  async function send(
    url: string,
    params: Record<string, string>,
    headers: Record<string, string>,
  ): Promise<TokenResponse> {
    const credentials =
      clientSecret === undefined
        ? { body: { client_id: clientId, ...params }, headers }
        : {
            body: params,
            headers: {
              authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
              ...headers,
            },
          };
    const response = await fetch(url, {
      method: 'POST',
      headers: { accept: 'application/json', ...credentials.headers },
      body: new URLSearchParams(credentials.body),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : {} };
  }
}
