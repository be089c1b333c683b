import { isPermission, PERMISSIONS } from '../access/permissions.ts';
import type { Client } from '../clients/client.ts';
import type { Resource } from '../resources/resource.ts';
import type { TenantSettings } from '../tenants/tenant-settings.ts';

/**
 * The server's own API as a resource of the tenant: every tenant has it, and its tokens are issued and
 * narrowed like those of any other API (RFC 8707).
 */
export function apiIdentifier(issuer: string): string {
  return `${issuer}/api/v1`;
}

const BEGINNING = new Date(0);

export function apiResource(issuer: string, settings: Pick<TenantSettings, 'apiTokenFormat'>): Resource {
  return {
    id: '00000000-0000-7000-8000-000000000000',
    identifier: apiIdentifier(issuer),
    name: 'Account and management API',
    scopes: Object.entries(PERMISSIONS).map(([name, description]) => ({ name, description })),
    accessTokenFormat: settings.apiTokenFormat,
    accessTokenTtlSeconds: null,
    signingAlg: null,
    introspectionClientIds: [],
    createdAt: BEGINNING,
    updatedAt: BEGINNING,
  };
}

/**
 * Of the API's scopes those a client may ask for: what its registration lists, and no more, since anybody
 * could otherwise ask for everything. Apps of the house that list nothing may ask for all of them; for
 * whom they ask still decides what comes of it.
 */
export function apiScopesOf(client: Pick<Client, 'metadata' | 'firstParty'> | undefined): string[] {
  if (!client) return [];
  const { scope } = client.metadata;
  if (typeof scope === 'string') return scope.split(' ').filter(isPermission);
  const actsForItself = client.metadata.grant_types?.includes('client_credentials') === true;
  return client.firstParty && !actsForItself ? Object.keys(PERMISSIONS) : [];
}
