import assert from 'node:assert/strict';
import Router from '@koa/router';
import { AppError } from '../../src/lib/errors.ts';
import { OutboundError } from '../../src/lib/safe-fetch.ts';
import type { RequestState } from '../../src/http/request-state.ts';
import { bodyOf, getRaw, sendRaw, startApp, statusOf, stopServers } from './support.ts';
import type { AppOptions } from './support.ts';

const BROWSER_ACCEPT = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const REFERENCE = { 'X-Request-Id': 'Req-0123456789' };

class DatabaseDown extends Error {}
const isUnavailable = (err: unknown) => err instanceof DatabaseDown;

async function failWith(err: unknown, options: AppOptions = {}) {
  return startApp(
    () => {
      throw err;
    },
    { isUnavailable, ...options },
  );
}

describe('an error of our own routes', () => {
  afterEach(stopServers);

  it('is a problem document with the reference, the code and the faults of fields', async () => {
    const err = new AppError('user.invalid', 400, 'Some fields are wrong.', {
      errors: [{ path: '/email', message: 'is not an e-mail address' }],
    });
    const { url } = await failWith(err);

    const response = await fetch(`${url}/api/v1/users`, { headers: REFERENCE });

    assert.equal(response.status, 400);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    assert.deepEqual(await response.json(), {
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      detail: 'Some fields are wrong.',
      code: 'user.invalid',
      errors: [{ pointer: '#/email', detail: 'is not an e-mail address' }],
      traceId: 'Req-0123456789',
    });
  });

  it('is a page with the reference for a browser', async () => {
    const { url } = await failWith(new AppError('user.gone', 410, 'The user is gone.'));

    const response = await fetch(`${url}/somewhere`, { headers: { ...REFERENCE, Accept: BROWSER_ACCEPT } });

    assert.equal(response.status, 410);
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
    const page = JSON.parse((await response.text()).slice('<html>'.length, -'</html>'.length));
    assert.deepEqual(page, {
      message: 'The user is gone.',
      code: 'user.gone',
      reference: 'Req-0123456789',
      time: '2030-01-02T03:04:05.000Z',
      status: 410,
      retryHref: null,
    });
  });

  const formats: [path: string, accept: string | undefined, type: RegExp][] = [
    ['/page', BROWSER_ACCEPT, /^text\/html/],
    ['/page', 'text/html', /^text\/html/],
    ['/page', 'application/json', /problem\+json/],
    ['/page', '*/*', /problem\+json/],
    ['/page', undefined, /problem\+json/],
    ['/page', 'text/html;q=0.1, application/json', /problem\+json/],
    ['/page', 'image/png', /problem\+json/],
    ['/page', ';;;,,,', /problem\+json/],
    ['/api/v1/users', BROWSER_ACCEPT, /problem\+json/],
    ['/api', BROWSER_ACCEPT, /problem\+json/],
    ['/t/acme/api/v1/users', BROWSER_ACCEPT, /problem\+json/],
    ['/apiary', BROWSER_ACCEPT, /^text\/html/],
  ];
  for (const [path, accept, type] of formats) {
    it(`has a type like ${type} at ${path} for Accept ${accept ?? '(none)'}`, async () => {
      const { port } = await failWith(new AppError('x.y', 400, 'No.'));

      const response = await getRaw(port, path, accept === undefined ? [] : [`Accept: ${accept}`]);

      assert.match(/^content-type: (.*)\r$/im.exec(response)?.[1] ?? '', type);
    });
  }

  it('has the form of RFC 6749 on OAuth paths', async () => {
    const { url } = await failWith(new AppError('x.y', 400, 'No "such" thing.'), {
      isOAuthPath: (path) => path === '/token',
    });

    const response = await fetch(`${url}/token`, { method: 'POST' });

    assert.deepEqual(await response.json(), {
      error: 'invalid_request',
      error_description: "No 'such' thing.",
    });
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  });

  it('tells when to retry', async () => {
    const { url } = await failWith(new AppError('x.busy', 503, 'Busy.', { retryAfterSeconds: 2.2 }));

    const response = await fetch(url);

    assert.equal(response.status, 503);
    assert.equal(response.headers.get('retry-after'), '3');
  });

  it('offers a retry on the page of an outage, but never of another site', async () => {
    const { port } = await failWith(new DatabaseDown('down'));

    const own = await getRaw(port, '/page?a=b', ['Accept: text/html']);
    const foreign = await getRaw(port, '//evil.example/', ['Accept: text/html']);

    assert.match(own, /"retryHref":"\/page\?a=b"/);
    assert.match(foreign, /"retryHref":null/);
  });

  it('is temporarily_unavailable, to be retried, when the database cannot work now', async () => {
    const { url } = await failWith(new Error('wrapped', { cause: new DatabaseDown('connection refused') }), {
      isOAuthPath: (path) => path === '/token',
    });

    const problem = await fetch(`${url}/api/v1/users`);
    const oauth = await fetch(`${url}/token`, { method: 'POST' });

    for (const response of [problem, oauth]) {
      assert.equal(response.status, 503);
      assert.equal(response.headers.get('retry-after'), '2');
    }
    assert.equal(((await problem.json()) as { code: string }).code, 'temporarily_unavailable');
    assert.equal(((await oauth.json()) as { error: string }).error, 'temporarily_unavailable');
  });

  for (const [name, thrown] of [
    ['a bug', new Error('secret detail canary')],
    ['a thrown object', { message: 'canary', status: 418, expose: true }],
    ['a thrown string', 'canary'],
    ['undefined', undefined],
    ['an outgoing call', new OutboundError('unreachable', 'app.example', new DatabaseDown('canary'))],
    ['an error that only looks like a status', Object.assign(new Error('canary'), { status: 400 })],
  ] as const) {
    it(`is a bare 500 for ${name}`, async () => {
      const { url } = await failWith(thrown);

      const response = await fetch(url, { headers: REFERENCE });

      assert.equal(response.status, 500);
      const text = await response.text();
      assert.doesNotMatch(text, /canary/);
      assert.equal(JSON.parse(text).code, 'server_error');
      assert.equal(JSON.parse(text).traceId, 'Req-0123456789');
    });
  }

  it('is logged once, with its cause, under the reference the caller sees', async () => {
    const { url, lines, line } = await failWith(new Error('outer', { cause: new Error('inner') }));

    const response = await fetch(url);
    await line('request');

    const logged = lines.filter((entry) => 'err' in entry);
    assert.equal(logged.length, 1);
    assert.partialDeepStrictEqual(logged[0], {
      level: 'error',
      correlationId: response.headers.get('x-request-id'),
      err: { message: 'outer', cause: { message: 'inner' } },
    });
  });

  it('keeps its private cause out of the response', async () => {
    const { url } = await failWith(new AppError('x.y', 409, 'No.', { cause: new Error('canary') }));

    const text = await (await fetch(url)).text();

    assert.doesNotMatch(text, /canary/);
  });

  it('still tells the reference when its page cannot be rendered', async () => {
    const { url, line } = await failWith(new Error('bug'), {
      renderErrorPage: () => {
        throw new Error('template');
      },
    });

    const response = await fetch(url, { headers: { ...REFERENCE, Accept: 'text/html' } });

    assert.equal(response.status, 500);
    assert.match(await response.text(), /Reference: Req-0123456789/);
    await line('the error page could not be rendered');
  });

  it('after the first bytes breaks the connection instead of passing for a whole response', async () => {
    const { url, line } = await startApp((ctx) => {
      ctx.respond = false;
      ctx.res.writeHead(200);
      ctx.res.write('half');
      throw new Error('bug');
    });

    await assert.rejects(async () => (await fetch(url)).text());

    await line('request failed');
  });
});

describe('a request nobody takes', () => {
  afterEach(stopServers);

  it('is 404 in the right format', async () => {
    const { url } = await startApp((_ctx, next) => next());

    const api = await fetch(`${url}/api/v1/nothing`);
    const page = await fetch(`${url}/nothing`, { headers: { Accept: BROWSER_ACCEPT } });

    assert.equal(api.status, 404);
    assert.equal(((await api.json()) as { code: string }).code, 'http.not_found');
    assert.equal(page.status, 404);
    assert.match(await page.text(), /"code":"http.not_found"/);
  });

  it('is 405 with the methods a route has', async () => {
    const router = new Router<RequestState>();
    router.get('/known', (ctx) => {
      ctx.body = 'known';
    });
    const { url } = await startApp((_ctx, next) => next(), { router });

    const response = await fetch(`${url}/known`, { method: 'DELETE' });

    assert.equal(response.status, 405);
    assert.equal(response.headers.get('allow'), 'HEAD, GET');
    assert.equal(((await response.json()) as { code: string }).code, 'http.method_not_allowed');
  });

  const targets: [target: string, status: number][] = [
    ['/%', 400],
    ['/%zz', 400],
    ['/%ff', 400],
    ['/%c0%af', 400],
    ['/%00', 400],
    ['/a?client_id=%00', 400],
    ['/a?b=%', 404],
    ['/a?__proto__[x]=y', 404],
    ['/../../etc/passwd', 404],
    ['/%2e%2e%2f', 404],
    ['//evil.example/', 404],
    ['/\\evil.example', 404],
    ['/#fragment', 404],
    ['/:', 404],
    ['http://', 404],
    ['http://[', 404],
    ['/device/anything', 404],
    [`/${'a'.repeat(8000)}`, 404],
    [`/${'%41'.repeat(3000)}`, 404],
    [`/${'/'.repeat(8000)}`, 404],
  ];
  for (const [target, status] of targets) {
    it(`is ${status} for ${target.slice(0, 40)}`, async () => {
      const router = new Router<RequestState>();
      router.get('/known/:id', (ctx) => {
        ctx.body = ctx['params'];
      });
      const { port, lines } = await startApp((_ctx, next) => next(), { router });

      const response = await getRaw(port, target);

      assert.equal(statusOf(response), status);
      assert.equal(JSON.parse(bodyOf(response)).status, status);
      assert.ok(lines.every(({ level }) => level !== 'error'));
    });
  }

  for (const method of ['TRACE', 'PROPFIND', 'LOCK', 'M-SEARCH', 'PURGE']) {
    it(`is 405 for ${method}`, async () => {
      const { port } = await startApp((ctx) => {
        ctx.body = 'route';
      });

      const response = await sendMethod(port, method);

      assert.equal(statusOf(response), 405);
      assert.match(response, /^allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r$/im);
    });
  }

  it('sends no body to HEAD', async () => {
    const { url } = await startApp((_ctx, next) => next());

    const response = await fetch(`${url}/nothing`, { method: 'HEAD' });

    assert.equal(response.status, 404);
    assert.equal(await response.text(), '');
  });
});

async function sendMethod(port: number, method: string): Promise<string> {
  return sendRaw(port, `${method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
}
