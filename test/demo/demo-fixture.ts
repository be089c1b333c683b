import { fileURLToPath } from 'node:url';
import Koa from 'koa';
import { createDemo } from '../../src/demo/demo.ts';
import { createViews } from '../../src/http/views.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { english } from '../support/translations.ts';
import { openPort, startPeer } from './peer.ts';
import type { Peer, PeerOptions } from './peer.ts';

export interface Running {
  peer: Peer;
  /** The demo's start page. */
  demoUrl: string;
  /** What the demo called over HTTP, such as `POST /token`, with the body. */
  calls: { call: string; body: string }[];
  close(): Promise<void>;
}

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url));

/** The demo on one port, an independent authorization server on another. */
export async function startDemo(
  overrides: Partial<PeerOptions> & { fetch?: typeof fetch } = {},
): Promise<Running> {
  const calls: Running['calls'] = [];
  const fetchAndRecord: typeof fetch = async (input, init) => {
    const { method, url } = new Request(input, { ...init, body: null });
    const body = init?.body instanceof URLSearchParams ? init.body.toString() : '';
    calls.push({ call: `${method} ${new URL(url).pathname}`, body });
    return (overrides.fetch ?? fetch)(input, init);
  };
  const port = await openPort();
  const demoUrl = `${port.url}/demo`;
  const resource = `${demoUrl}/api`;
  const peer = await startPeer({
    clientId: 'demo',
    demoUrl,
    resource,
    scopes: 'greetings:read',
    ...overrides,
  });

  const { router } = createDemo({
    issuer: peer.issuer,
    baseUrl: demoUrl,
    clientId: 'demo',
    resource,
    views: createViews({ dir: VIEWS, assetUrl: (name) => `/assets/${name}` }),
    language: english,
    log: createLogger({ level: 'silent' }),
    user: { email: 'demo@example.com', passwordFile: '/data/demo-user.json' },
    fetch: fetchAndRecord,
  });
  const app = new Koa();
  app.use(router.routes());
  port.serve(app);

  return {
    peer,
    demoUrl,
    calls,
    close: async () => {
      await Promise.all([port.close(), peer.close()]);
    },
  };
}
