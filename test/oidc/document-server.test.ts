import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRateLimiter } from '../../src/http/rate-limiter.ts';
import { createDocumentAnswers } from '../../src/oidc/document-answers.ts';
import { createDocumentServer } from '../../src/oidc/document-server.ts';
import { memoryLog } from '../http/support.ts';
import type { MemoryLog } from '../http/support.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { rawRequest } from '../support/raw-request.ts';
import type { RawResponse } from '../support/raw-request.ts';
import { assertSameTraces } from './both-ways.ts';

const DISCOVERY = '/.well-known/openid-configuration';
const METADATA = '/.well-known/oauth-authorization-server';
const VARYING = new Set(['x-request-id', 'date', 'ratelimit']);

describe('the short way to discovery and JWKS', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let logged: MemoryLog;
  before(async () => {
    logged = memoryLog('info');
    app = await startTestApp({
      env: { GATEHOUSE_RATE_LIMITS: 'on' },
      log: logged.log,
      measured: true,
    });
    tenant = await app.tenant();
  });
  after(() => app.close());

  interface Asked {
    path: string;
    method?: string;
    headers?: Record<string, string>;
  }

  const slugOf = () => tenant.tenant.slug;
  const ask = ({ path, ...request }: Asked) =>
    rawRequest(app.url, path === METADATA ? `${METADATA}/t/${slugOf()}` : `/t/${slugOf()}${path}`, request);
  const isShort = ({ path, method = 'GET', headers = {} }: Asked) =>
    app.registry.peek(slugOf())?.context.documents.find({ method, headers }, path) !== undefined;

  /** The answers of the long way and of the short one to the same request. */
  async function bothWays(asked: Asked): Promise<[long: RawResponse, short: RawResponse]> {
    await ask({ path: asked.path, headers: { 'accept-encoding': 'fill' } });
    assert.equal(isShort(asked), false);
    const long = await ask(asked);
    assert.equal(isShort(asked), true);
    return [long, await ask(asked)];
  }

  function assertSame(short: RawResponse, long: RawResponse): void {
    const lasting = ({ status, headers, body }: RawResponse) => ({
      status,
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !VARYING.has(name))),
      body: body.toString('latin1'),
    });
    assert.deepEqual(lasting(short), lasting(long));
    assert.deepEqual(Object.keys(short.headers).toSorted(), Object.keys(long.headers).toSorted());
    assert.notEqual(short.headers['x-request-id'], long.headers['x-request-id']);
  }

  for (const path of [DISCOVERY, METADATA, '/jwks']) {
    const requests: [name: string, request: Omit<Asked, 'path'>][] = [
      ['a plain request', {}],
      ['a HEAD request', { method: 'HEAD' }],
      ['a HEAD request for less', { method: 'HEAD', headers: { 'accept-encoding': 'br' } }],
      ['a browser', { headers: { 'accept-encoding': 'gzip, deflate, br, zstd' } }],
      ['one who takes gzip', { headers: { 'accept-encoding': 'gzip' } }],
      ['one who takes nothing', { headers: { 'accept-encoding': '*;q=0' } }],
      ['one who has another version', { headers: { 'if-none-match': '"another"' } }],
      ['one who reloads', { headers: { 'if-none-match': '*', 'cache-control': 'no-cache' } }],
      ['another origin', { headers: { origin: 'https://spa.example', 'accept-encoding': 'x-any' } }],
    ];
    for (const [name, request] of requests) {
      it(`gives ${name} the very answer of the long way for ${path}`, async () => {
        const [long, short] = await bothWays({ path, ...request });

        assert.equal(long.status, 200);
        assertSame(short, long);
      });
    }

    it(`sends nothing along with ${path} that only a page needs`, async () => {
      const { headers } = await ask({ path });

      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.deepEqual(
        ['content-security-policy', 'x-frame-options', 'referrer-policy', 'permissions-policy'].filter(
          (name) => name in headers,
        ),
        [],
      );
    });

    it(`tells who has ${path} already that it still holds`, async () => {
      const { headers } = await ask({ path });

      const [long, short] = await bothWays({ path, headers: { 'if-none-match': String(headers.etag) } });

      assert.equal(short.status, 304);
      assertSame(short, long);
    });
  }

  it('is not for requests with a query, of another method or of another tenant', async () => {
    await bothWays({ path: '/jwks', headers: { 'accept-encoding': 'identity' } });

    const headers = { 'accept-encoding': 'identity' };
    const [withQuery, posted, elsewhere] = await Promise.all([
      ask({ path: '/jwks?a=b', headers }),
      ask({ path: '/jwks', method: 'POST', headers }),
      rawRequest(app.url, '/t/nobody/jwks', { headers }),
    ]);

    assert.deepEqual([withQuery.status, posted.status, elsewhere.status], [200, 404, 404]);
  });

  it('gives the keys of today after a rotation', async () => {
    const asked = { path: '/jwks', headers: { 'accept-encoding': 'identity, today' } };
    const [, before] = await bothWays(asked);

    await app.services.keys.rotate(tenant.actor, { alg: 'ES256', force: true });
    await app.registry.refresh();
    const after = await ask(asked);

    assert.notEqual(after.headers.etag, before.headers.etag);
    assert.notEqual(after.text, before.text);
  });

  it('logs and measures as the long way does', async () => {
    const userAgent = 'probe/7';
    const asked = { path: '/jwks', headers: { 'user-agent': userAgent, 'accept-encoding': 'logged' } };

    const { counted } = await assertSameTraces(
      app,
      logged,
      { userAgent, method: 'GET', route: '/jwks', outcome: 'success', status: 200 },
      () => bothWays(asked),
    );

    assert.equal(counted, 3);
  });

  it('takes the caller’s request id', async () => {
    const asked = { path: '/jwks', headers: { 'x-request-id': 'Req-0123456789' } };
    await ask(asked);

    assert.equal(isShort(asked), true);
    assert.equal((await ask(asked)).headers['x-request-id'], 'Req-0123456789');
  });
});

describe('the short way to documents, for a network that asks too often', () => {
  it('gives way to the long one, which refuses', async () => {
    const documents = createDocumentAnswers();
    const { log } = memoryLog();
    const limiter = createRateLimiter({ stores: [], log });
    const serve = createDocumentServer({
      registry: { peek: () => ({ context: { documents } }) as never },
      addressOf: () => '192.0.2.1',
      log,
      limiter,
      limitOf: () => ({ name: 'documents', perMinute: 2, counts: 'all' }),
    });
    const server = createServer((req, res) => {
      if (serve(req, res)) return;
      res.setHeader('X-Way', 'long');
      documents.keep(req, '/jwks', res, Buffer.from('{}'));
      res.end('{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

    const answers: RawResponse[] = [];
    for (let count = 0; count < 4; count += 1) answers.push(await rawRequest(url, '/jwks'));
    server.close();

    // The header was kept with the answer, so the limit tells the ways apart.
    assert.deepEqual(
      answers.map(({ headers }) => headers['ratelimit']?.toString().replace(/;t=\d+/, '')),
      [undefined, '"documents";r=1', '"documents";r=0', undefined],
    );
  });
});
