import type { SigningAlg } from '../keys/signing-key.ts';

/**
 * Resources: the APIs that tokens are issued for (RFC 8707). This folder owns what is registered about
 * them: their identifier, scopes, and what their access tokens look like.
 */
export interface Resource {
  id: string;
  /** Absolute URI; the audience of its tokens. Never changes. */
  identifier: string;
  name: string;
  scopes: ResourceScope[];
  accessTokenFormat: 'jwt' | 'opaque';
  /** Null: the server's default. */
  accessTokenTtlSeconds: number | null;
  /** Null: the server's default. JWT access tokens only. */
  signingAlg: SigningAlg | null;
  /** `client_id`s that speak for this resource, so may introspect its tokens. */
  introspectionClientIds: string[];
  createdAt: Date;
  updatedAt: Date;
}

export interface ResourceScope {
  name: string;
  description: string;
}
