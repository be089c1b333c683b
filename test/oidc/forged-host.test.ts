import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { rawRequest } from '../support/raw-request.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

const FORGED: Record<string, Record<string, string>> = {
  Host: { host: 'evil.example' },
  'X-Forwarded-Host': { 'x-forwarded-host': 'evil.example' },
  'X-Forwarded-Proto': { 'x-forwarded-proto': 'https' },
  'X-Forwarded-Port': { 'x-forwarded-port': '666' },
  'X-Forwarded-Prefix': { 'x-forwarded-prefix': '/evil.example' },
  'X-Forwarded-Server': { 'x-forwarded-server': 'evil.example' },
  'X-Host': { 'x-host': 'evil.example' },
  'X-Original-URL': { 'x-original-url': '/evil.example' },
  'X-Rewrite-URL': { 'x-rewrite-url': '/evil.example' },
  Forwarded: { forwarded: 'host=evil.example;proto=https' },
  'a list in X-Forwarded-Host': { 'x-forwarded-host': 'evil.example, localhost' },
  'everything at once': {
    host: 'evil.example:666',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    forwarded: 'for=1.2.3.4;host=evil.example;proto=https',
  },
};

const MASKED = '…';

describe('forged Host and forwarding headers', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    rp = await createRelyingParty(app, tenant);
  });
  after(() => app.close());

  const send = (url: string, headers: Record<string, string>) => {
    const { pathname, search } = new URL(url);
    return rawRequest(app.url, pathname + search, { headers });
  };

  for (const [name, headers] of Object.entries(FORGED)) {
    it(`change nothing in the documents: ${name}`, async () => {
      const url = `${tenant.issuer}/.well-known/openid-configuration`;

      const [honest, forged] = [await send(url, {}), await send(url, headers)];

      assert.equal(forged.status, 200);
      assert.equal(forged.text, honest.text);
    });

    it(`change nothing in redirects and cookies: ${name}`, async () => {
      const [honest, forged] = [
        await send(rp.authorizationUrl(), {}),
        await send(rp.authorizationUrl(), headers),
      ];

      assert.equal(forged.status, 303);
      assert.deepEqual(answerOf(forged), answerOf(honest));
      assert.match(
        String(forged.headers.location),
        new RegExp(`^${new URL(tenant.issuer).pathname}/interaction/`),
      );
    });

    it(`change no link of a page: ${name}`, async () => {
      const { text } = await send(`${tenant.issuer}/`, headers);

      assert.ok(text.includes(tenant.issuer));
      assert.ok(!text.includes('evil.example'));
    });
  }

  it('cannot poison the documents for others, even as the first request of a tenant', async () => {
    const fresh = await app.tenant();

    const first = await send(
      `${fresh.issuer}/.well-known/openid-configuration`,
      FORGED['everything at once'] ?? {},
    );
    const second = await send(`${fresh.issuer}/.well-known/openid-configuration`, {});

    assert.equal(JSON.parse(first.text).issuer, fresh.issuer);
    assert.equal(second.text, first.text);
  });

  it('change neither the forms of a page nor where an answered one leads', async () => {
    const agent = createUserAgent();
    const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
    const started = await agent.get(rp.authorizationUrl(), headers);
    const identifier = await agent.get(started.location ?? '', headers);

    const submitted = await agent.submit(identifier, '/identifier', { username: rp.user.email });

    assert.ok(submitted.location?.startsWith(`${tenant.issuer}/interaction/`));
    assert.ok(!identifier.body.includes('evil.example'));
  });

  it('are no better in the request line: an absolute target names no other host either', async () => {
    const { pathname } = new URL(tenant.issuer);

    const { status, text } = await rawRequest(
      app.url,
      `http://evil.example${pathname}/.well-known/openid-configuration`,
    );

    assert.equal(status, 200);
    assert.equal(JSON.parse(text).issuer, tenant.issuer);
  });
});

/** Where it leads and what it sets, less what is random. */
function answerOf({ status, headers }: Awaited<ReturnType<typeof rawRequest>>) {
  return {
    status,
    location: headers.location?.replace(/interaction\/.*/, `interaction/${MASKED}`),
    cookies: headers['set-cookie']?.map((cookie) =>
      cookie
        .replace(/=[^;]*/, `=${MASKED}`)
        .replace(/path=[^;]*/i, (path) => path.replace(/[\w-]{20,}/, MASKED))
        .replace(/expires=[^;]*/i, `expires=${MASKED}`),
    ),
  };
}
