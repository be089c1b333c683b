/**
 * Signing keys of a tenant: made, published, used, retired and erased here. The folder owns the
 * `signing_keys` table; what is signed with them is up to the protocol engine.
 */
export const SIGNING_ALGS = ['RS256', 'ES256', 'EdDSA'] as const;
export type SigningAlg = (typeof SIGNING_ALGS)[number];

/**
 * `next`: published, does not sign yet. `current`: signs. `retiring`: signs no more, still published.
 * `gone` and `revoked`: not published, private half erased.
 */
export type KeyStatus = 'next' | 'current' | 'retiring' | 'gone' | 'revoked';

export interface SigningKey {
  id: string;
  /** The thumbprint of the public key (RFC 7638). */
  kid: string;
  alg: SigningAlg;
  status: KeyStatus;
  publicJwk: PublicJwk;
  /** Since when it is published. */
  createdAt: Date;
  /** Since when it signs. */
  activatedAt: Date | null;
  /** Since when it signs no more. */
  retiredAt: Date | null;
  /** Since when it is out of the JWKS. */
  removedAt: Date | null;
}

export interface PublicJwk {
  kty: string;
  kid: string;
  alg: SigningAlg;
  use: 'sig';
  crv?: string;
  x?: string;
  y?: string;
  n?: string;
  e?: string;
}

export interface PrivateJwk extends PublicJwk {
  d: string;
  p?: string;
  q?: string;
  dp?: string;
  dq?: string;
  qi?: string;
}
