import assert from 'node:assert/strict';
import { once } from 'node:events';
import Router from '@koa/router';
import type { AppMiddleware, RequestState } from '../../src/http/request-state.ts';
import { getRaw, openSocket, startApp, stopServers } from './support.ts';

const answer: AppMiddleware = (ctx) => {
  ctx.status = Number(ctx.query['status'] ?? 200);
  ctx.body = 'body';
};

describe('the request log', () => {
  afterEach(stopServers);

  it('has one line with what an operator needs', async () => {
    const { url, line, lines } = await startApp(answer);

    await fetch(`${url}/some/path`, {
      headers: { 'X-Request-Id': 'Req-0123456789', 'User-Agent': 'probe/1' },
    });

    const { time, durationMs, ...fields } = await line('request');
    assert.deepEqual(fields, {
      level: 'info',
      msg: 'request',
      correlationId: 'Req-0123456789',
      method: 'GET',
      path: '/some/path',
      status: 200,
      ip: '127.0.0.1',
      userAgent: 'probe/1',
    });
    assert.equal(typeof time, 'string');
    assert.equal(typeof durationMs, 'number');
    assert.equal(lines.filter(({ msg }) => msg === 'request').length, 1);
  });

  it('holds nothing of the query, the headers or the bodies', async () => {
    const { url, line, lines } = await startApp((ctx) => {
      ctx.set('Set-Cookie', 'session=canary-cookie-out');
      ctx.body = 'canary-response';
    });

    await fetch(`${url}/callback?code=canary-code&state=canary-state`, {
      method: 'POST',
      headers: {
        Authorization: 'Bearer canary-token',
        Cookie: 'session=canary-cookie',
        Referer: 'http://x.example/?canary-referer',
        'X-Custom': 'canary-header',
      },
      body: new URLSearchParams({ password: 'canary-password' }),
    });

    await line('request');
    assert.doesNotMatch(JSON.stringify(lines), /canary/);
  });

  it('names the template of a route instead of the path, which can hold a token', async () => {
    const router = new Router<RequestState>();
    router.get('/setup/:token', answer);
    const { url, line, lines } = await startApp(answer, { router });

    await fetch(`${url}/setup/canary-token`);

    assert.equal((await line('request'))['route'], '/setup/:token');
    assert.doesNotMatch(JSON.stringify(lines), /canary/);
  });

  for (const [status, level] of [
    [200, 'info'],
    [303, 'info'],
    [404, 'warn'],
    [500, 'error'],
    [503, 'error'],
  ] as const) {
    it(`has level ${level} for ${status}`, async () => {
      const { url, line } = await startApp(answer);

      await fetch(`${url}/?status=${status}`, { redirect: 'manual' });

      assert.equal((await line('request')).level, level);
    });
  }

  it('says when the client left before its response', async () => {
    const { promise: underWay, resolve: arrived } = Promise.withResolvers<void>();
    const { port, line } = await startApp(async (ctx) => {
      arrived();
      await once(ctx.res, 'close');
    });
    const socket = await openSocket(port);
    socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    await underWay;

    socket.destroy();

    const logged = await line('request');
    assert.equal(logged['aborted'], true);
    assert.equal(logged['status'], undefined);
  });

  it('keeps a line a line, whatever the path and the user agent hold', async () => {
    const { port, lines, line } = await startApp(answer);

    await getRaw(port, `/a%0d%0a{"level":"fatal"}${'x'.repeat(5000)}`, ['User-Agent: a\tb"}{']);

    const logged = await line('request');
    assert.equal(String(logged['path']).length, 256);
    assert.ok(lines.every(({ level }) => level !== 'fatal'));
  });
});
