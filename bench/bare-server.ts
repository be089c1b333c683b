import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';
import type { Configuration, JWK } from 'oidc-provider';
import { orTellParent, serveParent } from './child-messages.ts';
import {
  REDIRECT_URI,
  RESOURCES,
  SCOPE,
  SERVICE_CLIENT_ID,
  SERVICE_COUNT,
  USER_COUNT,
  WEB_CLIENT_ID,
} from './fixtures.ts';
import type { ClientCredentials, TargetDescription } from './fixtures.ts';
import { createMapAdapters } from './map-adapter.ts';

/** The protocol engine by itself: what Gatehouse is compared with. Anybody may sign in, without a password. */

async function start(): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const issuer = `http://127.0.0.1:${address.port}`;

  const target: TargetDescription = {
    issuer,
    service: newClient(SERVICE_CLIENT_ID),
    services: Array.from({ length: SERVICE_COUNT }, (_, index) => newClient(`${SERVICE_CLIENT_ID}-${index}`)),
    web: newClient(WEB_CLIENT_ID),
    users: Array.from({ length: USER_COUNT }, (_, index) => ({
      email: `user-${index}@example.com`,
      password: 'not checked',
    })),
    store: 'a Map',
  };
  const provider = new Provider(issuer, await configuration(target));
  provider.use(signInPages(provider));
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));

  serveParent(target, {
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

function newClient(id: string): ClientCredentials {
  return { id, secret: randomBytes(32).toString('base64url') };
}

async function configuration({ service, services, web }: TargetDescription) {
  return {
    adapter: createMapAdapters(),
    clients: [
      ...[service, ...services].map(({ id, secret }) => ({
        client_id: id,
        client_secret: secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [] as [],
      })),
      {
        client_id: web.id,
        client_secret: web.secret,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [REDIRECT_URI],
      },
    ],
    jwks: { keys: [await signingKey('RS256'), await signingKey('ES256')] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    findAccount: (_ctx, sub) => ({
      accountId: sub,
      claims: () => ({ sub, email: sub, email_verified: true }),
    }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      ClientCredentials: 600,
      Grant: 86_400,
      IdToken: 3600,
      Interaction: 3600,
      RefreshToken: 86_400,
      Session: 86_400,
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    // Everything is granted to the one client, so that nobody is asked.
    async loadExistingGrant({ oidc }) {
      const { client, session, account, provider, requestParamScopes, resourceServers } = oidc;
      if (!client || !session || !account) return undefined;
      const known = session.grantIdFor(client.clientId);
      if (known) return provider.Grant.find(known);

      const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
      grant.addOIDCScope([...requestParamScopes].join(' '));
      for (const indicator of Object.keys(resourceServers ?? {})) grant.addResourceScope(indicator, SCOPE);
      await grant.save();
      session.grantIdFor(client.clientId, grant.jti);
      return grant;
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, identifier) => {
          const common = { audience: identifier, scope: SCOPE, accessTokenTTL: 600 };
          if (identifier === RESOURCES.opaque) return { ...common, accessTokenFormat: 'opaque' };
          const alg = identifier === RESOURCES.es256 ? 'ES256' : 'RS256';
          return { ...common, accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
        },
      },
    },
  } satisfies Configuration;
}

async function signingKey(alg: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: alg };
}

type Middleware = Parameters<Provider['use']>[0];

/** One form with both fields, the least that a person could be asked. */
function signInPages(provider: Provider): Middleware {
  return async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) return next();
    if (ctx.method === 'GET') {
      await provider.interactionDetails(ctx.req, ctx.res);
      ctx.type = 'html';
      ctx.body = `<!doctype html><title>Sign in</title><form method="post" action="${ctx.path}"><input name="username"><input name="password" type="password"><button>Sign in</button></form>`;
      return undefined;
    }
    const body: Buffer[] = [];
    for await (const chunk of ctx.req) body.push(chunk);
    const accountId = new URLSearchParams(Buffer.concat(body).toString()).get('username') ?? '';
    return provider.interactionFinished(ctx.req, ctx.res, { login: { accountId } });
  };
}

await orTellParent(start);
