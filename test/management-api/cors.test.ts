import assert from 'node:assert/strict';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { createApiWorld } from './api-world.ts';
import type { ApiWorld, Person } from './api-world.ts';

const OWN = 'https://app.example';

describe('CORS of the API', () => {
  let app: TestApp;
  let world: ApiWorld;
  let person: Person;

  before(async () => {
    app = await startTestApp();
    world = await createApiWorld(app);
    person = await world.person();
  });

  after(() => app.close());

  const send = (path: string, init: RequestInit & { headers: Record<string, string> }) =>
    fetch(`${world.issuer}/api/v1${path}`, init);
  const preflight = (path: string, origin: string, method = 'POST') =>
    send(path, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization, content-type',
      },
    });
  const corsOf = ({ headers }: Response) =>
    [...headers].filter(([name]) => name.startsWith('access-control-')).map(([name]) => name);

  it('lets pages of the first-party app’s origin ask, with the headers that calls need', async () => {
    for (const [path, method] of [
      ['/auth/login', 'POST'],
      ['/auth/me', 'GET'],
      [`/users/${person.id}/preferences`, 'PATCH'],
      [`/auth/sessions/${person.id}`, 'DELETE'],
    ] as const) {
      const response = await preflight(path, OWN, method);

      assert.equal(response.status, 204);
      assert.equal(response.headers.get('access-control-allow-origin'), OWN);
      const methods = response.headers.get('access-control-allow-methods')?.split(', ') ?? [];
      assert.ok(methods.includes(method), methods.join());
      const headers = response.headers.get('access-control-allow-headers')?.split(', ') ?? [];
      for (const name of ['authorization', 'content-type', 'idempotency-key', 'if-match'])
        assert.ok(headers.includes(name), name);
      assert.match(response.headers.get('vary') ?? '', /\bOrigin\b/);
      assert.equal(await response.text(), '');
    }
  });

  it('lets them read answers, refusals as well, and the headers that answers need', async () => {
    const allowed = await send('/auth/me', {
      headers: { origin: OWN, authorization: `Bearer ${person.token}` },
    });
    const refused = await send('/auth/me', { headers: { origin: OWN } });
    const signIn = await send('/auth/login', {
      method: 'POST',
      headers: { origin: OWN, 'content-type': 'application/json' },
      body: JSON.stringify({ email: person.email, password: GOOD_PASSWORD }),
    });

    assert.deepEqual([allowed.status, refused.status, signIn.status], [200, 401, 200]);
    for (const { headers } of [allowed, refused, signIn]) {
      assert.equal(headers.get('access-control-allow-origin'), OWN);
      assert.equal(headers.get('cross-origin-resource-policy'), 'cross-origin');
      const exposed = headers.get('access-control-expose-headers')?.split(', ') ?? [];
      for (const name of ['etag', 'retry-after', 'www-authenticate', 'x-request-id'])
        assert.ok(exposed.includes(name));
    }
  });

  for (const origin of [
    'https://evil.example',
    'http://app.example',
    'https://app.example:8443',
    'https://app.example.evil.example',
    'https://sub.app.example',
    'https://app.example/',
    'https://APP.example',
    'null',
    '*',
    'nonsense',
  ]) {
    it(`lets no page of ${origin} ask or read`, async () => {
      const asked = await preflight('/auth/login', origin);
      const read = await send('/auth/me', { headers: { origin, authorization: `Bearer ${person.token}` } });

      assert.deepEqual(corsOf(asked), []);
      assert.deepEqual(corsOf(read), []);
      assert.equal(read.headers.get('cross-origin-resource-policy'), 'same-origin');
      assert.match(read.headers.get('vary') ?? '', /\bOrigin\b/);
    });
  }

  it('lets nobody ask in a tenant without such an app, nor by the app of another tenant', async () => {
    const bare = await app.tenant();
    const other = await createApiWorld(app);
    await app.services.clients.update(other.actor, other.clientId, {
      metadata: { redirect_uris: ['https://elsewhere.example/callback'] },
    });
    await app.registry.refresh();

    for (const issuer of [bare.issuer, other.issuer]) {
      const response = await fetch(`${issuer}/api/v1/auth/login`, {
        method: 'OPTIONS',
        headers: { origin: OWN, 'access-control-request-method': 'POST' },
      });
      assert.deepEqual(corsOf(response), []);
    }
  });

  it('never allows credentials, and reads no cookie if one comes all the same', async () => {
    const cookie = `gatehouse_session=${'a'.repeat(43)}`;
    const answers = [
      await preflight('/auth/me', OWN, 'GET'),
      await send('/auth/me', { headers: { origin: OWN, cookie } }),
      await send('/auth/me', { headers: { origin: OWN, cookie, authorization: `Bearer ${person.token}` } }),
    ];

    assert.deepEqual(
      answers.map(({ status }) => status),
      [204, 401, 200],
    );
    for (const { headers } of answers) {
      assert.equal(headers.get('access-control-allow-credentials'), null);
      assert.notEqual(headers.get('access-control-allow-origin'), '*');
      assert.equal(headers.get('set-cookie'), null);
    }
  });

  it('answers who asks nothing in particular as anybody else', async () => {
    const response = await send('/auth/login', { method: 'OPTIONS', headers: { origin: OWN } });

    assert.equal(response.headers.get('access-control-allow-methods'), null);
  });
});
