import { clientStore } from '../clients/client-store.ts';
import type { Client } from '../clients/client.ts';
import type { Db } from '../db/database.ts';
import { resourceStore } from '../resources/resource-store.ts';
import type { Resource } from '../resources/resource.ts';
import { createDirectoryCache } from './directory-cache.ts';

/**
 * The tenant's clients and resources as requests need them: kept for a few seconds, dropped at once when
 * the tenant's configuration version moves, bounded so that made-up ids cannot fill the memory.
 */
export type TenantDirectory = ReturnType<typeof createTenantDirectory>;

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
  const clients = createDirectoryCache<Client>({
    kind: 'client',
    db,
    load: (reader, clientId) => clientStore(reader, tenantId).find(clientId),
  });
  const resources = createDirectoryCache<Resource>({
    kind: 'resource',
    db,
    load: (reader, identifier) => resourceStore(reader, tenantId).findByIdentifier(identifier),
  });

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
}
