import { errors } from 'oidc-provider';
import type { Configuration } from 'oidc-provider';

/** Their ids are remembered until they expire, so they cannot live for ever. */
const LONGEST_ASSERTION_SECONDS = 86_400;

/**
 * What is asked of the assertions of private_key_jwt beyond RFC 7523. Their audience is the issuer and
 * nobody else: one made for any other server, even for another endpoint of a look-alike, is worth nothing
 * here (FAPI 2.0 Security Profile §5.3.2.1).
 */
export const clientAssertions = {
  assertJwtClientAuthClaimsAndHeader(ctx, claims) {
    const { issuer } = ctx.oidc.provider;
    const [audience, ...others] = [claims['aud']].flat();
    if (audience !== issuer || others.length > 0)
      throw new errors.InvalidClientAuth('the audience must be the issuer alone');
    if (Number(claims['exp']) > Date.now() / 1000 + LONGEST_ASSERTION_SECONDS)
      throw new errors.InvalidClientAuth('the assertion expires too far in the future');
  },
} satisfies Configuration;
