import type { ClientMetadata } from './client-metadata.ts';

/**
 * Clients: the applications that ask for tokens. This folder owns their registration, their secrets and
 * the rules for both. What a client was granted, and the protocol itself, belong to others.
 */
export interface Client {
  id: string;
  clientId: string;
  name: string;
  /** In the names of RFC 7591 and OpenID Connect Dynamic Client Registration; without id, name and secret. */
  metadata: ClientMetadata;
  /** Ours: its users are not asked for consent. */
  firstParty: boolean;
  /** The scope of a request that names none, space-separated. */
  defaultScope: string | null;
  /** The resource of a request that names none. */
  defaultResource: string | null;
  disabledAt: Date | null;
  /** Newest first. */
  secrets: ClientSecret[];
  createdAt: Date;
  updatedAt: Date;
}

export interface ClientSecret {
  id: string;
  /** SHA-256. The secret has 256 bits of its own, so a slow hash would add nothing but load. */
  hash: Buffer;
  /** The first characters, to tell two secrets apart. */
  hint: string;
  expiresAt: Date | null;
  createdAt: Date;
}

const SECRET_METHODS: readonly string[] = ['client_secret_basic', 'client_secret_post'];

/** Whether the client proves itself with a secret. */
export function usesSecret(metadata: Pick<ClientMetadata, 'token_endpoint_auth_method'>): boolean {
  return SECRET_METHODS.includes(metadata.token_endpoint_auth_method);
}
