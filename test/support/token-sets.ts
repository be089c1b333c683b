import type { NewClient } from '../../src/clients/client-input.ts';
import type { TestApp, TestTenant } from './app.ts';
import type { RelyingParty, TokenResponse } from './relying-party.ts';
import { createUserAgent } from './user-agent.ts';

export interface TokenSet {
  access_token: string;
  refresh_token: string;
  id_token: string;
  scope: string;
}

/** Signs the relying party's user in and redeems the code. Fails where that fails. */
export async function tokensOf(
  rp: RelyingParty,
  {
    agent = createUserAgent(),
    authorize = {},
    redeem = {},
  }: {
    agent?: ReturnType<typeof createUserAgent>;
    authorize?: Record<string, string | undefined>;
    redeem?: Record<string, string>;
  } = {},
): Promise<TokenSet> {
  const { code = '', ...refusal } = await rp.signIn(agent, authorize);
  const { status, body } = await rp.redeem(code, redeem);
  if (status !== 200) throw new Error(`no tokens: ${JSON.stringify({ refusal, status, body })}`);
  return {
    access_token: body.access_token ?? '',
    refresh_token: body.refresh_token ?? '',
    id_token: body.id_token ?? '',
    scope: body.scope ?? '',
  };
}

/** What introspection says about a token to whoever asks. */
export async function introspect(
  asker: Pick<RelyingParty, 'call'>,
  token: string,
  options?: { baseUrl?: string },
): Promise<Record<string, unknown>> {
  const { status, body } = await asker.call('/introspect', { token }, options);
  if (status !== 200) throw new Error(`introspection answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

export async function isActive(
  asker: Pick<RelyingParty, 'call'>,
  token: string,
  options?: { baseUrl?: string },
): Promise<boolean> {
  return (await introspect(asker, token, options))['active'] === true;
}

/** A service with a secret of its own and no people. */
export interface Machine {
  clientId: string;
  secret: string;
  token(params?: Record<string, string>, options?: { baseUrl?: string }): Promise<TokenResponse>;
  call(path: string, params: Record<string, string>, options?: { baseUrl?: string }): Promise<TokenResponse>;
}

export async function createMachine(
  app: TestApp,
  { issuer, actor }: TestTenant,
  { metadata = {}, ...fields }: Partial<NewClient> = {},
): Promise<Machine> {
  const { client, secret = '' } = await app.services.clients.create(actor, {
    name: 'Test service',
    metadata: { grant_types: ['client_credentials'], ...metadata },
    ...fields,
  });
  const { clientId } = client;
  const call: Machine['call'] = (path, params, { baseUrl = issuer } = {}) =>
    postForm(`${baseUrl}${path}`, params, { authorization: basicAuth(clientId, secret) });
  return {
    clientId,
    secret,
    call,
    token: (params = {}, options) => call('/token', { grant_type: 'client_credentials', ...params }, options),
  };
}

export function basicAuth(clientId: string, secret: string): string {
  return `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`;
}

/** Posts a form as any client does; an empty answer has an empty body. */
export async function postForm(
  url: string,
  params: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<TokenResponse> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { accept: 'application/json', ...headers },
    body: new URLSearchParams(params),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : {} };
}
