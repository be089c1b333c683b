import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import type { Services } from '../../../src/services.ts';
import { GOOD_PASSWORD } from '../../support/app.ts';
import type { TestTenant } from '../../support/app.ts';
import { REDIRECT_URI } from '../../support/relying-party.ts';
import type { Balancer } from '../support/balancer.ts';
import type { Shape } from './plan.ts';

/** A tenant of its own with people and apps: nothing of one run is seen in another. */
export interface World {
  tenant: TestTenant;
  issuer: string;
  balancer: Balancer;
  services: Services;
  users: readonly Person[];
  apps: readonly App[];
  /** The service that speaks for the API whose tokens are JWTs. */
  api: App;
}

export interface Person {
  id: string;
  email: string;
}

export interface App {
  clientId: string;
  authorization: string;
  /** Its access tokens are JWTs for the API; the others' are opaque, and for userinfo. */
  isForApi: boolean;
}

const API = 'https://api.example';

export async function createWorld(
  {
    services,
    balancer,
    db,
    tenant: makeTenant,
  }: { services: Services; balancer: Balancer; db: Knex; tenant: () => Promise<TestTenant> },
  { users, apps, apiApps = 0 }: Pick<Shape, 'users' | 'apps'> & Partial<Pick<Shape, 'apiApps'>>,
): Promise<World> {
  const tenant = await makeTenant();
  await openApi(services, tenant);
  await ageKeys(db, tenant);
  const api = await createApp(services, tenant);
  await services.resources.create(tenant.actor, {
    identifier: API,
    accessTokenFormat: 'jwt',
    introspectionClientIds: [api.clientId],
  });
  return {
    tenant,
    issuer: tenant.issuer,
    balancer,
    services,
    users: await Promise.all(times(users, () => createPerson(services, tenant))),
    apps: await Promise.all([
      ...times(apps, () => createApp(services, tenant)),
      ...times(apiApps, () => createApp(services, tenant, API)),
    ]),
    api,
  };
}

export async function createPerson(services: Services, { actor }: TestTenant): Promise<Person> {
  const email = `${randomBytes(6).toString('hex')}@example.com`;
  const { id } = await services.users.create(actor, { email, password: GOOD_PASSWORD, emailVerified: true });
  return { id, email };
}

/** People can sign in over the API: it issues in the name of an app that keeps no secret. */
async function openApi(services: Services, { actor, tenant }: TestTenant): Promise<void> {
  const { client } = await services.clients.create(actor, {
    name: 'App of the API',
    firstParty: true,
    metadata: {
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
  });
  await services.tenants.update(actor, tenant.slug, { settings: { firstPartyClientId: client.clientId } });
}

/** As those of a tenant that has been there for a while: the next keys may sign as soon as somebody rotates. */
async function ageKeys(db: Knex, { tenant }: TestTenant): Promise<void> {
  await db.raw("UPDATE signing_keys SET created_at = created_at - interval '1 hour' WHERE tenant_id = ?", [
    tenant.id,
  ]);
}

/**
 * An app of the house, so that nobody is asked for consent.
 * @param audience what its access tokens are for when it names nothing
 */
async function createApp(services: Services, { actor }: TestTenant, audience?: string): Promise<App> {
  const { client, secret } = await services.clients.create(actor, {
    name: 'App under faults',
    firstParty: true,
    ...(audience === undefined ? {} : { defaultResource: audience }),
    metadata: {
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    },
  });
  const credentials = Buffer.from(`${client.clientId}:${secret}`).toString('base64');
  return {
    clientId: client.clientId,
    authorization: `Basic ${credentials}`,
    isForApi: audience !== undefined,
  };
}

function times<Result>(count: number, make: () => Result): Result[] {
  return Array.from({ length: count }, make);
}
