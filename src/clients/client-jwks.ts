import { createPublicKey } from 'node:crypto';
import { z } from 'zod';

/** A client's own keys (RFC 7517), with which it signs its assertions. Public halves only. */

const text = z.string().min(1).max(16_384);
const MIN_RSA_BITS = 2048;

const jwk = z.looseObject({
  kty: z.enum(['RSA', 'EC', 'OKP'], { error: 'must be RSA, EC or OKP: an asymmetric key' }),
  use: z.literal('sig', { error: 'must be "sig"' }).optional(),
  alg: text.optional(),
  kid: text.optional(),
});

const PUBLIC_MEMBERS = new Set('kty use key_ops alg kid x5c x5t x5t#S256 x5u n e crv x y'.split(' '));

export const jwksSchema = z
  .strictObject({ keys: z.array(jwk).min(1, 'must have at least one key').max(20) })
  .superRefine(({ keys }, ctx) => {
    const kids = new Set<string>();
    for (const [index, key] of keys.entries()) {
      const fault = keyFault(key);
      if (fault) ctx.addIssue({ code: 'custom', path: ['keys', index], message: fault });
      if (key.kid !== undefined && kids.has(key.kid)) {
        ctx.addIssue({ code: 'custom', path: ['keys', index, 'kid'], message: 'is used by another key' });
      }
      if (key.kid !== undefined) kids.add(key.kid);
    }
  });

function keyFault(key: Record<string, unknown>): string | undefined {
  const surplus = Object.keys(key).filter((member) => !PUBLIC_MEMBERS.has(member));
  // Named before anything else: whoever sent a private key here has to replace it.
  if (surplus.some((member) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].includes(member))) {
    return 'holds a private key, which must be regarded as disclosed; make a new pair and register the public half';
  }
  if (surplus.length > 0) return `has members that are no part of a public key: ${surplus.join(', ')}`;
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({
      key: key,
      format: 'jwk',
    });
    if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS) {
      return `an RSA key must have at least ${MIN_RSA_BITS} bits`;
    }
    return undefined;
  } catch {
    return 'is not a valid public key';
  }
}
