import type { Actor } from '../src/http/actor.ts';
import type { Services } from '../src/services.ts';
import {
  APP_CLIENT_ID,
  REDIRECT_URI,
  RESOURCES,
  SCOPE,
  SERVICE_CLIENT_ID,
  SERVICE_COUNT,
  USER_COUNT,
  WEB_CLIENT_ID,
} from './fixtures.ts';
import type { TargetDescription } from './fixtures.ts';

/** What the rows need of a tenant of Gatehouse: APIs, clients and people. */

const PASSWORD = 'correct horse battery staple';

/** @returns what the rows have to know of it, and whose password all people of a grown database get */
export async function provisionTenant(
  services: Services,
  actor: Actor,
  { slug, userCount = USER_COUNT }: { slug: string; userCount?: number },
): Promise<Pick<TargetDescription, 'service' | 'services' | 'web' | 'users'> & { passwordOf: string }> {
  await createResources(services, actor);
  const clients = await createClients(services, actor);
  await createApp(services, actor, slug);
  const users = await createUsers(services, actor, userCount);
  const [first] = users;
  if (!first) throw new Error('there are no people');
  return { ...clients, users: users.map(({ email }) => withPassword(email)), passwordOf: first.id };
}

/** Everybody has the same one. */
export function withPassword(email: string): { email: string; password: string } {
  return { email, password: PASSWORD };
}

async function createResources({ resources }: Services, actor: Actor): Promise<void> {
  const scopes = [{ name: SCOPE }];
  await resources.create(actor, { identifier: RESOURCES.rs256, scopes, signingAlg: 'RS256' });
  await resources.create(actor, { identifier: RESOURCES.es256, scopes, signingAlg: 'ES256' });
  await resources.create(actor, { identifier: RESOURCES.opaque, scopes, accessTokenFormat: 'opaque' });
}

async function createClients({ clients }: Services, actor: Actor) {
  const createService = async (id: string) => {
    const { secret } = await clients.create(actor, {
      clientId: id,
      name: 'Service',
      metadata: { grant_types: ['client_credentials'] },
    });
    if (!secret) throw new Error('the client got no secret');
    return { id, secret };
  };
  const service = await createService(SERVICE_CLIENT_ID);
  const services = [];
  for (let index = 0; index < SERVICE_COUNT; index += 1)
    services.push(await createService(`${SERVICE_CLIENT_ID}-${index}`));
  const web = await clients.create(actor, {
    clientId: WEB_CLIENT_ID,
    name: 'Web application',
    firstParty: true,
    metadata: {
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [REDIRECT_URI],
    },
  });
  if (!web.secret) throw new Error('the client got no secret');
  return {
    service,
    services,
    web: { id: WEB_CLIENT_ID, secret: web.secret },
  };
}

/** The house's own app, which signs people in over the API. */
async function createApp({ clients, tenants }: Services, actor: Actor, slug: string): Promise<void> {
  await clients.create(actor, {
    clientId: APP_CLIENT_ID,
    name: 'Own app',
    firstParty: true,
    metadata: {
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [REDIRECT_URI],
      token_endpoint_auth_method: 'none',
    },
  });
  await tenants.update(actor, slug, { settings: { firstPartyClientId: APP_CLIENT_ID } });
}

/** One after the other: on a busy machine so many at once would wait too long for a connection. */
async function createUsers({ users }: Services, actor: Actor, count: number) {
  const created = [];
  for (let index = 0; index < count; index += 1) {
    const email = `user-${index}@example.com`;
    created.push(await users.create(actor, { email, password: PASSWORD, emailVerified: true }));
  }
  return created;
}
