import { LRUCache } from 'lru-cache';
import type Provider from 'oidc-provider';
import type { Client as EngineClient } from 'oidc-provider';
import { clientStore } from '../../clients/client-store.ts';
import { usesSecret } from '../../clients/client.ts';
import { verifyClientSecret } from '../../clients/client-secrets.ts';
import type { Client } from '../../clients/client.ts';
import { enqueueLogout } from '../adapter/logout-deliveries.ts';
import { guarded } from '../adapter/store-errors.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';

const MOST_INSTANCES = 5_000;

/** The engine wants a secret of clients that have one; the real ones are stored as hashes and compared here. */
export const SECRET_PLACEHOLDER = 'kept-as-a-hash';

interface EngineClientClass {
  new (metadata: object): EngineClient;
  find(id: string): Promise<EngineClient | undefined>;
  prototype: {
    clientId: string;
    compareClientSecret(actual: string): Promise<boolean>;
    backchannelLogout: (accountId: string, sid: string) => Promise<void>;
  };
}

type SendLogout = EngineClientClass['prototype']['backchannelLogout'];

interface LogoutSender {
  send: SendLogout;
  /** The client even after its end. */
  find: (clientId: string) => Promise<EngineClient | undefined>;
}

const senders = new WeakMap<Provider, LogoutSender>();
const records = new WeakMap<object, Client>();

/** Our record behind a client of the engine. */
export function clientRecordOf(engineClient: object): Client | undefined {
  return records.get(engineClient);
}

/**
 * Clients come from the tenant's directory. The engine would hash the metadata at every look-up and
 * build clients anew beyond the hundred it keeps; here a client is built once for each of its versions.
 */
export function extendClients(
  provider: Provider,
  { db, tenant, directory, clientLimits }: TenantContext,
): void {
  const EngineClient = provider.Client as unknown as EngineClientClass;
  const instances = new LRUCache<string, { version: number; instance: EngineClient }>({
    max: MOST_INSTANCES,
  });

  EngineClient.find = async (id) => {
    if (typeof id !== 'string' || id === '') return undefined;
    const client = await directory.client(id);
    if (!client) return undefined;

    const version = client.updatedAt.getTime();
    const known = instances.get(id);
    const instance = known?.version === version ? known.instance : new EngineClient(engineMetadata(client));
    if (instance !== known?.instance) instances.set(id, { version, instance });
    // Secrets change without a new version of what the engine knows.
    records.set(instance, client);
    return instance;
  };

  EngineClient.prototype.compareClientSecret = async function (actual) {
    const client = clientRecordOf(this);
    return clientLimits.compare(
      { tenantId: tenant.id, clientId: this.clientId, ip: currentUnitOfWork()?.actor.ip },
      () => client !== undefined && verifyClientSecret(client, actual, new Date()),
    );
  };

  senders.set(provider, {
    send: EngineClient.prototype.backchannelLogout,
    async find(clientId) {
      const client = await clientStore(db, tenant.id).findEvenGone(clientId);
      return client && new EngineClient(engineMetadata(client));
    },
  });
  // Committed with the logout, delivered afterwards with retries: see jobs/logout-delivery-job.ts.
  EngineClient.prototype.backchannelLogout = function (accountId, sid) {
    return guarded(async () => {
      const writer = (await currentUnitOfWork()?.writer()) ?? db;
      await enqueueLogout(writer, tenant.id, { clientId: this.clientId, accountId, sid });
    });
  };
}

/**
 * Sends the logout token to the client, as the engine would have done at once.
 * @throws when the client cannot be reached or does not accept it
 */
export async function sendBackchannelLogout(
  provider: Provider,
  { clientId, accountId, sid }: { clientId: string; accountId: string; sid?: string | undefined },
): Promise<void> {
  const sender = senders.get(provider);
  // Also one that is gone by now: its own sessions should not outlive its place here.
  const client = await sender?.find(clientId);
  if (!client?.backchannelLogoutUri) return;
  await sender?.send.call(client as unknown as EngineClientClass['prototype'], accountId, sid ?? '');
}

/**
 * What the engine knows of a client, in the names of RFC 7591. Not its scopes, which may be those of APIs:
 * see client-scopes.ts.
 */
function engineMetadata(client: Pick<Client, 'clientId' | 'name' | 'metadata'>): object {
  const { scope: _scope, ...metadata } = client.metadata;
  return {
    ...metadata,
    client_id: client.clientId,
    client_name: client.name,
    ...(usesSecret(client.metadata) ? { client_secret: SECRET_PLACEHOLDER } : {}),
  };
}
