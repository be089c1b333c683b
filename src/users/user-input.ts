import { parseEmail } from './email-address.ts';
import { profileClaimsSchema } from './user-claims.ts';
import type { ProfileClaims } from './user-claims.ts';
import { userError } from './user-errors.ts';

/** @throws {AppError} `user.email_invalid` */
export function acceptableEmail(text: string): string {
  const email = parseEmail(text);
  if (email !== undefined) return email;
  const message = 'Enter an e-mail address, such as ana@example.com.';
  throw userError('email_invalid', { errors: [{ path: '/email', message, code: 'user.email_malformed' }] });
}

/** @throws {AppError} `user.claims_invalid` */
export function acceptableClaims(claims: Readonly<Record<string, unknown>>): ProfileClaims {
  const parsed = profileClaimsSchema.safeParse(claims);
  if (parsed.success) return parsed.data;
  throw userError('claims_invalid', {
    errors: parsed.error.issues.map(({ path, message }) => ({
      path: `/claims${path.map((part) => `/${String(part)}`).join('')}`,
      message,
    })),
  });
}
