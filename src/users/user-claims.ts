import { z } from 'zod';
import type { User } from './user.ts';

// Lone surrogates and NUL, which JSON in PostgreSQL cannot hold; line breaks, which end a mail header; and the controls
// that turn the direction of text around, which make one name look like another.
const line = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]*$/u, 'must be a single line of plain text');
const lines = z
  .string()
  .trim()
  .min(1)
  .max(1000)
  .regex(/^(\n|[^\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069])*$/u, 'must be plain text');
const webUrl = z
  .url({ protocol: /^https?$/ })
  .max(2048)
  .regex(/^[^\p{C}\p{Z}]*$/u, 'must not contain blanks or control characters');

/**
 * The claims about a person that they or an administrator may state (OpenID Connect Core §5.1). Strict, so that `sub`,
 * `email_verified` and the like cannot be smuggled in through a profile.
 */
export const profileClaimsSchema = z.strictObject({
  name: line.optional(),
  given_name: line.optional(),
  family_name: line.optional(),
  middle_name: line.optional(),
  nickname: line.optional(),
  preferred_username: line.optional(),
  profile: webUrl.optional(),
  picture: webUrl.optional(),
  website: webUrl.optional(),
  gender: line.optional(),
  birthdate: z
    .string()
    .regex(/^(\d{4}|\d{4}-\d{2}-\d{2})$/, 'must be YYYY-MM-DD or YYYY; the year may be 0000')
    .optional(),
  zoneinfo: line.optional(),
  locale: line.optional(),
  phone_number: line.optional(),
  address: z
    .strictObject({
      formatted: lines.optional(),
      street_address: lines.optional(),
      locality: line.optional(),
      region: line.optional(),
      postal_code: line.optional(),
      country: line.optional(),
    })
    .optional(),
});

export type ProfileClaims = z.output<typeof profileClaimsSchema>;

/** What the person is called, which is guessed first. */
export function namesIn(claims: ProfileClaims): string[] {
  const { name, given_name, family_name, middle_name, nickname, preferred_username } = claims;
  return [name, given_name, family_name, middle_name, nickname, preferred_username].filter(
    (text) => text !== undefined,
  );
}

export interface UserProfile {
  claims: ProfileClaims;
  updatedAt: Date | null;
}

/**
 * Everything the server can say about a user; the scopes and the `claims` parameter decide what of it is said.
 * @returns OpenID Connect Core §5.1 names; `updated_at` in seconds since 1970
 */
export function claimsOf(user: User, profile: UserProfile): Record<string, unknown> {
  const updatedAt = Math.max(user.updatedAt.getTime(), profile.updatedAt?.getTime() ?? 0);
  return {
    ...profile.claims,
    // No verification of telephone numbers exists, so none is claimed.
    ...(profile.claims.phone_number === undefined ? {} : { phone_number_verified: false }),
    email: user.email,
    email_verified: user.emailVerifiedAt !== null,
    updated_at: Math.floor(updatedAt / 1000),
  };
}
