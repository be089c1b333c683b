import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import type Koa from 'koa';
import { Provider } from 'oidc-provider';
import type { Configuration } from 'oidc-provider';

/** A plain oidc-provider that signs Ana in without asking: an independent server for the demo to talk to. */
export interface Peer {
  issuer: string;
  /** The error its sign-in ends with instead, once set. */
  denyWith: { error: string; error_description: string } | undefined;
  /** Ends every grant. */
  revokeAll(): Promise<void>;
  close(): Promise<void>;
}

export interface PeerOptions {
  clientId: string;
  demoUrl: string;
  resource: string;
  scopes: string;
  accessTokenFormat?: 'jwt' | 'opaque';
}

export async function startPeer(options: PeerOptions): Promise<Peer> {
  const server = createServer();
  const issuer = await listen(server);
  const provider = new Provider(issuer, await configuration(options));
  const grantIds: string[] = [];
  const peer: Peer = {
    issuer,
    denyWith: undefined,
    async revokeAll() {
      for (const grantId of grantIds) await (await provider.Grant.find(grantId))?.destroy();
    },
    close: () => close(server),
  };

  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) return next();
    const { prompt, params } = await provider.interactionDetails(ctx.req, ctx.res);
    if (peer.denyWith) return provider.interactionFinished(ctx.req, ctx.res, peer.denyWith);
    if (prompt.name === 'login') {
      return provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: 'ana' } });
    }

    const grant = new provider.Grant({ accountId: 'ana', clientId: String(params['client_id']) });
    grant.addOIDCScope('openid profile email');
    grant.addResourceScope(options.resource, options.scopes);
    const grantId = await grant.save();
    grantIds.push(grantId);
    await provider.interactionFinished(ctx.req, ctx.res, { consent: { grantId } });
  });
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));
  return peer;
}

async function configuration({ clientId, demoUrl, resource, scopes, accessTokenFormat }: PeerOptions) {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return {
    clients: [
      {
        client_id: clientId,
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [`${demoUrl}/callback`],
        post_logout_redirect_uris: [`${demoUrl}/signed-out`],
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'peer-1' }] },
    cookies: { keys: ['for tests'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    findAccount: (_ctx, sub) => ({
      accountId: sub,
      claims: () => ({ sub, name: 'Ana <b>Ito</b>', email: 'ana@example.com', email_verified: true }),
    }),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          audience: resource,
          scope: scopes,
          accessTokenFormat: accessTokenFormat ?? 'jwt',
          accessTokenTTL: 600,
        }),
      },
    },
  } satisfies Configuration;
}

/** A free loopback port, for an app that has to know its URL before it is built. */
export async function openPort(): Promise<{ url: string; serve(app: Koa): void; close(): Promise<void> }> {
  const server = createServer();
  return {
    url: await listen(server),
    serve(app) {
      const handle = app.callback();
      server.on('request', (request, response) => void handle(request, response));
    },
    close: () => close(server),
  };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return `http://localhost:${address.port}`;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
