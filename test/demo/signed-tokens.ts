import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JWTHeaderParameters } from 'jose';
import type { IssuerKeys } from '../../src/demo/demo-client.ts';

const ISSUER = 'https://id.example';
export const RESOURCE = 'http://localhost:3000/demo/api';

/** An issuer in a nutshell: it signs what a test asks for, right or wrong. */
export async function createTestIssuer() {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const stranger = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'ES256', use: 'sig' };
  const verification: IssuerKeys = {
    issuer: ISSUER,
    jwksUri: `${ISSUER}/jwks`,
    keys: createLocalJWKSet({ keys: [jwk] }),
  };

  /** An access token in order, but for what is overridden; `undefined` takes a claim out. */
  function accessToken(
    claims: Record<string, unknown> = {},
    header: Partial<JWTHeaderParameters> = {},
    { forged = false } = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const payload = {
      iss: ISSUER,
      aud: RESOURCE,
      sub: 'ana',
      client_id: 'demo',
      scope: 'greetings:read',
      iat: now,
      exp: now + 600,
      ...claims,
    };
    return new SignJWT(payload)
      .setProtectedHeader({ alg: 'ES256', kid: 'key-1', typ: 'at+jwt', ...header })
      .sign(forged ? stranger.privateKey : privateKey);
  }

  return { verification, accessToken };
}
