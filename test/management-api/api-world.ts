import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { administrators } from '../../src/access/administrators.ts';
import { endpointsOf } from '../../src/management-api/openapi.ts';
import type { DescribedEndpoint } from '../../src/management-api/openapi.ts';
import { errorsOf } from '../../src/management-api/api-errors.ts';
import { apiRouter } from '../../src/management-api/router.ts';
import type { ApiDeps } from '../../src/management-api/router.ts';
import { GOOD_PASSWORD } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';

/** A tenant with a first-party app, people, an administrator and a service, all of whom call the real API. */
export interface ApiWorld extends TestTenant {
  clientId: string;
  service: { clientId: string; secret: string };
  call: (method: string, path: string, options?: CallOptions) => Promise<ApiAnswer>;
  person: (options?: { isAdministrator?: boolean }) => Promise<Person>;
  login: (email: string, scope?: string) => Promise<ApiAnswer>;
  /** A token of the service itself. */
  serviceToken: (scope: string) => Promise<string>;
}

export interface Person {
  id: string;
  email: string;
  token: string;
  refreshToken: string;
}

export interface CallOptions {
  token?: string;
  /** HTTP Basic. */
  as?: { clientId: string; secret: string };
  body?: unknown;
  headers?: Record<string, string>;
  baseUrl?: string;
}

export interface ApiAnswer {
  status: number;
  headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- answers are looked into, member by member
  body: any;
}

const ALL_SCOPES =
  'openid account:read account:write users:read users:write users:delete access:read activity:write tokens:validate';

export const ENDPOINTS: readonly DescribedEndpoint[] = endpointsOf(apiRouter({} as ApiDeps));

export async function createApiWorld(app: TestApp): Promise<ApiWorld> {
  const tenant = await app.tenant();
  const { actor, issuer } = tenant;
  // Where the server listens, which behind a proxy is not where people reach it.
  const here = issuer.replace(app.config.publicUrl, `http://localhost:${app.config.port}`);
  const { client } = await app.services.clients.create(actor, {
    name: 'Own app',
    firstParty: true,
    metadata: {
      redirect_uris: ['https://app.example/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
  });
  const { client: serviceClient, secret = '' } = await app.services.clients.create(actor, {
    name: 'Service',
    metadata: {
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      scope: 'users:read users:write users:delete access:read activity:write tokens:validate',
    },
  });
  await app.services.tenants.update(actor, tenant.tenant.slug, {
    settings: { firstPartyClientId: client.clientId },
  });
  await app.registry.refresh();

  const world: ApiWorld = {
    ...tenant,
    clientId: client.clientId,
    service: { clientId: serviceClient.clientId, secret },
    call: (method, path, options = {}) => callApi(options.baseUrl ?? here, method, path, options),

    login: (email, scope) =>
      world.call('POST', '/auth/login', {
        body: { email, password: GOOD_PASSWORD, ...(scope === undefined ? {} : { scope }) },
      }),

    async person({ isAdministrator = false } = {}) {
      const email = `${randomBytes(6).toString('hex')}@example.com`;
      const { id } = await app.services.users.create(actor, { email, password: GOOD_PASSWORD });
      if (isAdministrator) await administrators(app.db, actor.tenantId).add(id);
      const { status, body } = await world.login(email, ALL_SCOPES);
      assert.equal(status, 200, JSON.stringify(body));
      return { id, email, token: body.access_token, refreshToken: body.refresh_token };
    },

    async serviceToken(scope) {
      const response = await fetch(`${here}/token`, {
        method: 'POST',
        headers: { authorization: basic(world.service) },
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          scope,
          resource: `${issuer}/api/v1`,
        }),
      });
      const body = (await response.json()) as { access_token?: string };
      assert.ok(body.access_token, JSON.stringify(body));
      return body.access_token;
    },
  };
  return world;
}

/** Every answer is held against what the endpoint declares: its schema, its error codes, and no secret. */
async function callApi(
  baseUrl: string,
  method: string,
  path: string,
  { token, as, body, headers = {} }: CallOptions,
): Promise<ApiAnswer> {
  const response = await fetch(`${baseUrl}/api/v1${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(as === undefined ? {} : { authorization: basic(as) }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer = { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : null };
  const endpoint = endpointOf(method, path);
  if (endpoint) checkAnswer(endpoint, answer);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  assert.equal(response.headers.get('set-cookie'), null);
  return answer;
}

function checkAnswer({ description }: DescribedEndpoint, { status, body, headers }: ApiAnswer): void {
  if (status < 400) {
    assert.equal(status, description.reply.status);
    if (description.reply.schema) assert.deepEqual(description.reply.schema.parse(body), body);
    const names = JSON.stringify(body).match(/"\w+":/g) ?? [];
    assert.deepEqual(
      names.filter((name) => /hash|pepper|secret|password|jwk|sealed/i.test(name)),
      [],
    );
    assert.doesNotMatch(JSON.stringify(body), /\$argon2|"s1\./);
    return;
  }
  assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
  const declared = errorsOf(description).filter((error) => error.code === body.code);
  assert.equal(declared[0]?.status, status, `${description.id} does not declare ${status} ${body.code}`);
  assert.equal(body.status, status);
  assert.equal(body.traceId, headers.get('x-request-id'));
  assert.ok(body.title && body.detail && body.type);
  if (status === 401) assert.match(headers.get('www-authenticate') ?? '', /^(Bearer|Basic) realm="/);
}

function endpointOf(method: string, path: string): DescribedEndpoint | undefined {
  const [plain = ''] = path.split('?', 1);
  const fits = ENDPOINTS.filter(
    (one) =>
      one.method === method.toLowerCase() &&
      new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(plain),
  );
  return fits.find((one) => one.path === plain) ?? fits[0];
}

function basic({ clientId, secret }: { clientId: string; secret: string }): string {
  return `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`;
}
