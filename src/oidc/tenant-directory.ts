import { LRUCache } from 'lru-cache';
import { clientStore } from '../clients/client-store.ts';
import type { Client } from '../clients/client.ts';
import type { Db } from '../db/database.ts';
import { directoryLookups } from '../lib/instruments.ts';
import { resourceStore } from '../resources/resource-store.ts';
import type { Resource } from '../resources/resource.ts';
import { guarded } from './adapter/store-errors.ts';
import { currentUnitOfWork } from './adapter/unit-of-work.ts';

/**
 * The tenant's clients and resources as requests need them: kept for a few seconds, dropped at once when
 * the tenant's configuration version moves, bounded so that made-up ids cannot fill the memory.
 */
export type TenantDirectory = ReturnType<typeof createTenantDirectory>;

const KEPT_MS = 5_000;
const MOST_ENTRIES = 5_000;

/** @param builtIn resources that nobody registers and nobody can replace; `builtInClients` likewise */
export function createTenantDirectory({
  db,
  tenantId,
  builtIn,
  builtInClients,
}: {
  db: Db;
  tenantId: string;
  builtIn: readonly Resource[];
  builtInClients: readonly Client[];
}) {
  const clients = createCache<Client>('client', (reader, clientId) =>
    clientStore(reader, tenantId).find(clientId),
  );
  const resources = createCache<Resource>('resource', (reader, identifier) =>
    resourceStore(reader, tenantId).findByIdentifier(identifier),
  );

  return {
    /** An enabled client; a disabled one is as unknown as one that never was. */
    async client(clientId: string): Promise<Client | undefined> {
      const builtInClient = builtInClients.find((client) => client.clientId === clientId);
      if (builtInClient) return builtInClient;
      const client = await clients.get(clientId);
      return client?.disabledAt === null ? client : undefined;
    },
    resource: async (identifier: string): Promise<Resource | undefined> =>
      builtIn.find((resource) => resource.identifier === identifier) ?? resources.get(identifier),
    clear(): void {
      clients.clear();
      resources.clear();
    },
  };

  function createCache<Value extends object>(
    kind: 'client' | 'resource',
    load: (reader: Db, key: string) => Promise<Value | undefined>,
  ) {
    const cache = new LRUCache<string, { value: Value | undefined }>({ max: MOST_ENTRIES, ttl: KEPT_MS });
    let generation = 0;

    return {
      async get(key: string): Promise<Value | undefined> {
        const cached = cache.get(key);
        if (directoryLookups.isObserved) directoryLookups.record({ kind, isHit: cached !== undefined });
        if (cached) return cached.value;
        // PostgreSQL cannot store NUL, and a stranger's request must not look like its failure.
        if (key.includes('\0')) return undefined;

        const loadedIn = generation;
        // Within a transaction its own connection is used: waiting for a second one while holding the
        // first could leave every request waiting for another.
        const value = await guarded(async () => load((await currentUnitOfWork()?.reader()) ?? db, key));
        // What was read before a change must not outlive it.
        if (loadedIn === generation) cache.set(key, { value });
        return value;
      },
      clear(): void {
        generation += 1;
        cache.clear();
      },
    };
  }
}
