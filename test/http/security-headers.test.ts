import assert from 'node:assert/strict';
import { allowAnyFormAction, allowFormAction } from '../../src/http/security-headers.ts';
import type { AppMiddleware } from '../../src/http/request-state.ts';
import { startApp, stopServers } from './support.ts';

const empty: AppMiddleware = (ctx) => {
  ctx.body = 'body';
};

async function policyAfter(route: AppMiddleware): Promise<Map<string, string>> {
  const { url } = await startApp((ctx, next) => {
    ctx.body = 'body';
    return route(ctx, next);
  });
  const response = await fetch(url);
  const directives = (response.headers.get('content-security-policy') ?? '').split('; ');
  return new Map(directives.map((directive) => directive.split(/ (.*)/s, 2) as [string, string]));
}

describe('the security headers', () => {
  afterEach(stopServers);

  it('are strict on every response', async () => {
    const { url } = await startApp(empty);

    const { headers } = await fetch(url);

    assert.equal(
      headers.get('content-security-policy'),
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    );
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('x-frame-options'), 'DENY');
    assert.equal(headers.get('referrer-policy'), 'no-referrer');
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.match(headers.get('permissions-policy') ?? '', /camera=\(\)/);
  });

  it('stay on errors', async () => {
    const { url } = await startApp(() => {
      throw new Error('bug');
    });

    const response = await fetch(url);

    assert.equal(response.status, 500);
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    assert.equal(response.headers.get('cache-control'), 'no-store');
  });

  it('leave the opener of a sign-in popup alone', async () => {
    const { url } = await startApp(empty);

    const { headers } = await fetch(url);

    assert.equal(headers.get('cross-origin-opener-policy'), 'unsafe-none');
  });

  it('demand https exactly when the public URL has it', async () => {
    const secure = await startApp(empty, { publicUrl: 'https://auth.example' });
    const plain = await startApp(empty, { publicUrl: 'http://localhost:3000' });

    const hsts = await Promise.all(
      [secure, plain].map(async ({ url }) => (await fetch(url)).headers.get('strict-transport-security')),
    );

    assert.deepEqual(hsts, ['max-age=31536000', null]);
  });
});

describe('form-action', () => {
  afterEach(stopServers);

  const named: [redirectUri: string, origin: string][] = [
    ['https://app.example/callback?x=1#y', 'https://app.example'],
    ['https://app.example:8443/callback', 'https://app.example:8443'],
    ['http://127.0.0.1:49152/callback', 'http://127.0.0.1:49152'],
    ['http://localhost/callback', 'http://localhost'],
    ['https://bücher.example/', 'https://xn--bcher-kva.example'],
  ];
  for (const [redirectUri, origin] of named) {
    it(`names the origin of ${redirectUri}`, async () => {
      const policy = await policyAfter((ctx) => allowFormAction(ctx, redirectUri));

      assert.equal(policy.get('form-action'), `'self' ${origin}`);
    });
  }

  const leftOut = [
    'com.example.app:/callback',
    'com.example.app://callback',
    'http://[::1]:49152/callback',
    "https://app.example;script-src 'unsafe-inline'/",
    'https://a;script-src/',
    'https://a,b/',
    'not a url',
  ];
  for (const redirectUri of leftOut) {
    it(`is left out, and nothing else changed, for ${redirectUri}`, async () => {
      const policy = await policyAfter((ctx) => allowFormAction(ctx, redirectUri));

      assert.equal(policy.has('form-action'), false);
      assert.equal(policy.get('script-src'), "'self'");
      assert.equal(policy.size, 8);
    });
  }

  it('names an origin once', async () => {
    const policy = await policyAfter((ctx) => {
      allowFormAction(ctx, 'https://app.example/a');
      allowFormAction(ctx, 'https://app.example/b');
    });

    assert.equal(policy.get('form-action'), "'self' https://app.example");
  });

  it('stays out for an upstream hop', async () => {
    const policy = await policyAfter((ctx) => {
      allowAnyFormAction(ctx);
      allowFormAction(ctx, 'https://app.example/a');
    });

    assert.equal(policy.has('form-action'), false);
  });

  it('keeps script hashes that the protocol engine has added', async () => {
    const policy = await policyAfter((ctx) => {
      const given = ctx.response.get('Content-Security-Policy');
      ctx.set(
        'Content-Security-Policy',
        given.replace("script-src 'self'", "script-src 'self' 'sha256-abc='"),
      );
      allowFormAction(ctx, 'https://app.example/a');
    });

    assert.equal(policy.get('script-src'), "'self' 'sha256-abc='");
    assert.equal(policy.get('form-action'), "'self' https://app.example");
  });
});
