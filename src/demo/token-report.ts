import { compactVerify, decodeJwt, decodeProtectedHeader, errors } from 'jose';
import type { JWTPayload, ProtectedHeaderParameters } from 'jose';
import type { IssuerKeys } from './demo-client.ts';

/** One thing a verifier looks at, and what it found. */
export interface TokenCheck {
  name: string;
  ok: boolean;
  detail: string;
}

/** A token laid open for the page; `valid` only when every check passed. */
export interface TokenReport {
  format: 'jwt' | 'opaque';
  header: ProtectedHeaderParameters | undefined;
  payload: JWTPayload | undefined;
  checks: TokenCheck[];
  valid: boolean;
}

export interface Expected {
  audience: string;
  /** `typ` of the header; access tokens are `at+jwt` (RFC 9068 §2.1) so that no ID token passes for one. */
  type: string | undefined;
}

export const ALLOWED_ALGS = ['RS256', 'ES256', 'EdDSA', 'Ed25519'];

/**
 * Verifies a token as an application would, but goes on after the first fault, to show every check.
 * An opaque token has nothing to check here: only introspection tells what it is worth.
 */
export async function reportOn(
  token: string,
  verification: IssuerKeys,
  expected: Expected,
  now: Date,
): Promise<TokenReport> {
  const decoded = decode(token);
  if (!decoded) return { format: 'opaque', header: undefined, payload: undefined, checks: [], valid: false };

  const { header, payload } = decoded;
  const checks = [
    await checkSignature(token, header, verification),
    checkIssuer(payload, verification.issuer),
    checkAudience(payload, expected.audience),
    checkExpiry(payload, now),
  ];
  if (expected.type) checks.push(checkType(header, expected.type));
  return { format: 'jwt', header, payload, checks, valid: checks.every((check) => check.ok) };
}

function decode(token: string): { header: ProtectedHeaderParameters; payload: JWTPayload } | undefined {
  try {
    return { header: decodeProtectedHeader(token), payload: decodeJwt(token) };
  } catch {
    return undefined;
  }
}

async function checkSignature(
  token: string,
  { alg, kid }: ProtectedHeaderParameters,
  { keys }: IssuerKeys,
): Promise<TokenCheck> {
  const by = `${alg ?? 'no algorithm'}, key ${kid ?? 'without an id'}`;
  try {
    await compactVerify(token, keys, { algorithms: ALLOWED_ALGS });
    return { name: 'Signature', ok: true, detail: `verifies with the JWKS (${by})` };
  } catch (err) {
    return { name: 'Signature', ok: false, detail: `${reasonOf(err)} (${by})` };
  }
}

function reasonOf(err: unknown): string {
  if (err instanceof errors.JWKSNoMatchingKey) return 'the JWKS has no such key';
  if (err instanceof errors.JOSEAlgNotAllowed) return 'the algorithm is not accepted';
  if (err instanceof errors.JWSSignatureVerificationFailed) return 'does not verify with the JWKS';
  return 'the JWKS could not be used';
}

function checkIssuer(payload: JWTPayload, issuer: string): TokenCheck {
  const ok = payload.iss === issuer;
  return {
    name: 'Issuer',
    ok,
    detail: ok ? issuer : `${payload.iss ?? 'none'}, but should be ${issuer}`,
  };
}

function checkAudience(payload: JWTPayload, audience: string): TokenCheck {
  const found = payload.aud === undefined ? [] : [payload.aud].flat();
  const ok = found.includes(audience);
  return {
    name: 'Audience',
    ok,
    detail: ok ? audience : `${found.join(', ') || 'none'}, but should be ${audience}`,
  };
}

function checkExpiry(payload: JWTPayload, now: Date): TokenCheck {
  if (payload.exp === undefined) return { name: 'Expiry', ok: false, detail: 'none' };
  const expiresAt = new Date(payload.exp * 1000);
  const ok = expiresAt > now;
  return { name: 'Expiry', ok, detail: `${ok ? 'expires' : 'expired'} ${expiresAt.toISOString()}` };
}

function checkType({ typ }: ProtectedHeaderParameters, type: string): TokenCheck {
  const ok = typ === type;
  return { name: 'Type', ok, detail: ok ? type : `${typ ?? 'none'}, but should be ${type}` };
}
