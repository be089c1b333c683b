import { z } from 'zod';
import type { TokenInspection } from '../../oidc/access-tokens/access-tokens.ts';

/** The claims of a token as services read them: those whose meaning is documented, in the shape they rely on. */
export const tokenClaimsSchema = z
  .object({
    active: z.boolean(),
    sub: z.string().optional(),
    client_id: z.string().optional(),
    tenant_id: z.string().optional(),
    roles: z.array(z.string()).optional(),
    scope: z.string().optional(),
    aud: z.string().optional(),
    iss: z.string().optional(),
    iat: z.number().optional(),
    exp: z.number().optional(),
    jti: z.string().optional(),
    token_type: z.string().optional(),
    cnf: z.object({ jkt: z.string() }).optional().meta({ description: 'The key the token is bound to.' }),
  })
  .meta({
    id: 'TokenClaims',
    description: 'Only `active: false` for a token the caller may know nothing of.',
  });

export type TokenClaims = z.output<typeof tokenClaimsSchema>;

const INACTIVE: TokenClaims = { active: false };

/** Claims of an unknown shape come from nowhere we know, so they prove nothing. */
export function parseTokenClaims(inspection: TokenInspection): TokenClaims {
  const parsed = tokenClaimsSchema.safeParse(inspection);
  return parsed.success ? parsed.data : INACTIVE;
}

export function scopesOf({ scope = '' }: TokenClaims): ReadonlySet<string> {
  return new Set(scope.split(' ').filter(Boolean));
}
