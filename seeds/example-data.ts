import { randomBytes } from 'node:crypto';
import type { Actor } from '../src/http/actor.ts';
import { AppError } from '../src/lib/errors.ts';
import type { Services } from '../src/services.ts';

/**
 * People, clients and an API to look at in development, made through the services, so that they are checked, recorded
 * and cached like any other. What exists already stays as it is.
 */

const API = 'https://api.bookshop.example';

const USERS = [
  { email: 'maya.okafor@example.com', claims: { name: 'Maya Okafor', locale: 'en-GB' }, status: 'active' },
  { email: 'jonas.lind@example.com', claims: { name: 'Jonas Lind', locale: 'sv-SE' }, status: 'pending' },
  { email: 'priya.raman@example.com', claims: { name: 'Priya Raman', locale: 'ta-IN' }, status: 'disabled' },
] as const;

const RESOURCE = {
  identifier: API,
  name: 'Bookshop API',
  scopes: [
    { name: 'orders:read', description: 'See your orders' },
    { name: 'orders:write', description: 'Place and change orders' },
  ],
};

const CLIENTS = [
  {
    clientId: 'example-web',
    name: 'Bookshop',
    metadata: {
      application_type: 'web',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['http://localhost:5173/callback'],
      post_logout_redirect_uris: ['http://localhost:5173/'],
    },
    defaultScope: 'openid profile email',
  },
  {
    clientId: 'example-service',
    name: 'Bookshop nightly report',
    metadata: {
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
    defaultScope: 'orders:read',
    defaultResource: API,
  },
];

export interface Seeded {
  /** New users with their passwords, which are told here and never again. */
  users: { email: string; password: string; status: string }[];
  resources: string[];
  clients: { clientId: string; secret: string | undefined }[];
}

export async function seedExampleData(
  { users, clients, resources }: Pick<Services, 'users' | 'clients' | 'resources'>,
  actor: Actor,
): Promise<Seeded> {
  const seeded: Seeded = { users: [], resources: [], clients: [] };

  for (const { status, ...input } of USERS) {
    const password = randomBytes(12).toString('base64url');
    const user = await unlessTaken('user.email_taken', () =>
      users.create(actor, {
        ...input,
        password,
        emailVerified: status !== 'pending',
        status: status === 'pending' ? 'pending' : 'active',
      }),
    );
    if (!user) continue;
    if (status === 'disabled') await users.disable(actor, user.id, { reason: 'example' });
    seeded.users.push({ email: user.email, password, status });
  }

  const resource = await unlessTaken('resource.identifier_taken', () => resources.create(actor, RESOURCE));
  if (resource) seeded.resources.push(resource.identifier);

  for (const input of CLIENTS) {
    const made = await unlessTaken('client.id_taken', () => clients.create(actor, input));
    if (made) seeded.clients.push({ clientId: made.client.clientId, secret: made.secret });
  }
  return seeded;
}

/** Seeding twice is harmless. */
async function unlessTaken<Made>(code: string, make: () => Promise<Made>): Promise<Made | undefined> {
  try {
    return await make();
  } catch (err) {
    if (err instanceof AppError && err.code === code) return undefined;
    throw err;
  }
}
