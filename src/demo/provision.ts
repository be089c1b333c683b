import { systemActor } from '../http/actor.ts';
import type { Actor } from '../http/actor.ts';
import type { ClientService } from '../clients/client-service.ts';
import { AppError } from '../lib/errors.ts';
import type { ResourceService } from '../resources/resource-service.ts';
import type { createUserService } from '../users/user-service.ts';
import { demoUserFilePath, readDemoUser, writeDemoUser } from './demo-user-file.ts';
import { readablePassword } from './readable-password.ts';
import { SAMPLE_SCOPE } from './sample-api.ts';

/**
 * Registers what the demo needs, through the same services as the command line: a client, the sample API
 * and a person. Done at every start, and changes nothing that is as it should be.
 *
 * The client is a public one with PKCE: there is no secret to keep, to lose or to share between replicas.
 */

export const DEMO_CLIENT_ID = 'demo';
export const DEMO_EMAIL = 'demo@example.com';

export interface ProvisionOptions {
  tenantId: string;
  publicUrl: string;
  /** Where the demo user's password is kept. */
  dataDir: string;
  services: {
    clients: Pick<ClientService, 'get' | 'create' | 'update'>;
    resources: Pick<ResourceService, 'get' | 'create' | 'delete'>;
    users: Pick<ReturnType<typeof createUserService>, 'findByEmail' | 'create' | 'setPassword'>;
    passwordPolicy: { minLength: number };
  };
}

export interface DemoCredentials {
  email: string;
  password: string;
  passwordFile: string;
}

/**
 * @returns whom to sign in as
 * @throws {AppError} `client.invalid` at a public URL that no client may have, `client.id_taken` when the
 *   demo's client was deleted: an id is never given out twice
 */
export async function provisionDemo(options: ProvisionOptions): Promise<DemoCredentials> {
  const actor = systemActor(options.tenantId);
  const baseUrl = `${options.publicUrl}/demo`;
  await ensureResource(actor, `${baseUrl}/api`, options);
  await ensureClient(actor, baseUrl, options);
  return ensureUser(actor, options);
}

async function ensureResource(actor: Actor, identifier: string, { services }: ProvisionOptions) {
  const { resources } = services;
  await getOrCreate(
    () => unlessMissing('resource.not_found', resources.get(actor, identifier)),
    () =>
      resources.create(actor, {
        identifier,
        name: 'Sample API',
        scopes: [{ name: SAMPLE_SCOPE, description: 'Read greetings from the sample API' }],
      }),
  );
}

/** Follows the public URL: a port or host of yesterday is taken out again, with the API that was there. */
async function ensureClient(actor: Actor, baseUrl: string, { services }: ProvisionOptions) {
  const { clients, resources } = services;
  const addresses = {
    redirect_uris: [`${baseUrl}/callback`],
    post_logout_redirect_uris: [`${baseUrl}/signed-out`],
    client_uri: baseUrl,
  };
  const client = await getOrCreate(
    () => unlessMissing('client.not_found', clients.get(actor, DEMO_CLIENT_ID)),
    async () => {
      const metadata = {
        ...addresses,
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
      };
      const created = await clients.create(actor, {
        clientId: DEMO_CLIENT_ID,
        name: 'Demo application',
        metadata,
      });
      return created.client;
    },
  );

  const [registered] = client.metadata.redirect_uris;
  if (registered === addresses.redirect_uris[0]) return;
  await clients.update(actor, DEMO_CLIENT_ID, { metadata: addresses });
  if (!registered?.endsWith('/callback')) return;
  const formerApi = `${registered.slice(0, -'/callback'.length)}/api`;
  await unlessMissing('resource.not_found', resources.delete(actor, formerApi));
}

/** A password that somebody gave the user since is theirs to know; a lost file gets a new password. */
async function ensureUser(actor: Actor, options: ProvisionOptions): Promise<DemoCredentials> {
  const { dataDir, services } = options;
  const kept = readDemoUser(dataDir);
  const existing = await services.users.findByEmail(actor, DEMO_EMAIL);
  const passwordFile = demoUserFilePath(dataDir);
  if (kept && existing?.id === kept.userId) {
    return { email: kept.email, password: kept.password, passwordFile };
  }

  const password = kept?.password ?? readablePassword(services.passwordPolicy.minLength);
  const userId = existing?.id ?? (await createUser(actor, password, options)).id;
  if (existing) await services.users.setPassword(actor, existing.id, password);
  writeDemoUser(dataDir, { email: DEMO_EMAIL, password, userId });
  return { email: DEMO_EMAIL, password, passwordFile };
}

function createUser(actor: Actor, password: string, { services }: ProvisionOptions) {
  return services.users.create(actor, {
    email: DEMO_EMAIL,
    password,
    emailVerified: true,
    claims: { name: 'Demo User', given_name: 'Demo', family_name: 'User' },
  });
}

/** Another process may be starting, too: whoever comes second takes what the first one made. */
async function getOrCreate<T>(find: () => Promise<T | undefined>, create: () => Promise<T>): Promise<T> {
  const found = await find();
  if (found) return found;
  try {
    return await create();
  } catch (err) {
    const made = err instanceof AppError && err.status === 409 ? await find() : undefined;
    if (made) return made;
    throw err;
  }
}

async function unlessMissing<T>(code: string, found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (err) {
    if (err instanceof AppError && err.code === code) return undefined;
    throw err;
  }
}
