import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JWTHeaderParameters } from 'jose';

export interface DpopKey {
  /** The thumbprint tokens are bound to. */
  jkt: string;
  /** A proof of the key for one request (RFC 9449 §4.2). An undefined claim is left out. */
  proof(
    method: string,
    url: string,
    options?: {
      accessToken?: string;
      nonce?: string;
      claims?: Record<string, unknown>;
      header?: Partial<JWTHeaderParameters>;
    },
  ): Promise<string>;
}

export async function createDpopKey(alg = 'ES256'): Promise<DpopKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);

  return {
    jkt: await calculateJwkThumbprint(jwk),
    proof: (method, url, { accessToken, nonce, claims, header } = {}) =>
      new SignJWT({
        htm: method,
        htu: url,
        iat: Math.floor(Date.now() / 1000),
        jti: randomUUID(),
        ...(accessToken === undefined
          ? {}
          : { ath: createHash('sha256').update(accessToken).digest('base64url') }),
        ...(nonce === undefined ? {} : { nonce }),
        ...claims,
      })
        .setProtectedHeader({ alg, typ: 'dpop+jwt', jwk, ...header })
        .sign(privateKey),
  };
}
