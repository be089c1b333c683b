import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import type { DefaultContext } from 'koa';
import Provider from 'oidc-provider';
import type { JWK } from 'oidc-provider';
import { createMapAdapters } from '../../bench/map-adapter.ts';
import { extendContexts } from '../../src/oidc/extensions/plain-context.ts';
import { startLoopbackServer } from '../support/loopback-server.ts';

describe('the context of a request to the engine', () => {
  it('holds nothing that V8 would keep until the next full collection', async () => {
    const key = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) as JWK;
    const provider = new Provider('http://127.0.0.1', {
      adapter: createMapAdapters(),
      jwks: { keys: [key] },
      cookies: { keys: ['a key'] },
      features: { devInteractions: { enabled: false } },
    });
    const seen: DefaultContext[] = [];
    provider.use(async (ctx, next) => {
      await next();
      seen.push(ctx);
    });
    const routes: unknown[] = [];
    extendContexts(provider, (oidc) => routes.push(Reflect.get(oidc, 'route')));
    const server = await startLoopbackServer();
    server.respond = (req, res) => void provider.callback()(req, res);

    const { status } = await fetch(`${server.url}/jwks`);
    await server.close();

    const [ctx] = seen;
    const accessors = Object.entries(Object.getOwnPropertyDescriptors(ctx))
      .filter(([, descriptor]) => 'get' in descriptor)
      .map(([name]) => name);
    assert.equal(status, 200);
    assert.equal(ctx?.['oidc'].route, 'jwks');
    assert.deepEqual(accessors, []);
    assert.deepEqual(routes, ['jwks']);
  });
});
