import { z } from 'zod';
import { userSchema } from './user-representation.ts';
import type { NewUser } from './user-service.ts';

/** What somebody is made from by whoever administers people; `/users` and `/auth/register` take it. */
export const newUserFields = {
  email: z.string().min(3).max(320),
  email_verified: z.boolean().optional(),
  status: z.enum(['active', 'pending']).optional(),
  profile: userSchema.shape.profile.optional(),
};

export const CREATION_ERRORS = ['user.email_invalid', 'user.email_taken'];

export const EXAMPLE_NEW_USER = {
  email: 'ana@example.com',
  email_verified: true,
  profile: { name: 'Ana Lima', locale: 'en' },
};

const newUser = z.object(newUserFields);

export function newUserOf({
  email,
  email_verified: emailVerified,
  status,
  profile,
}: z.output<typeof newUser>): NewUser {
  return { email, emailVerified, status, claims: profile };
}
