import { z } from 'zod';
import { profileClaimsSchema } from './user-claims.ts';
import type { UserWithProfile } from './user-updates.ts';

/** A user as the API shows them. Nothing of their credentials is among it, not even as a hash. */

export const userId = z.uuid().meta({ description: 'The user’s id, the `sub` of tokens.' });
const status = z.enum(['pending', 'active', 'locked', 'disabled', 'deleted']);

const profile = profileClaimsSchema.meta({
  id: 'Profile',
  description: 'Claims about a person, by their OpenID Connect names.',
});

export const profilePatch = z
  .strictObject(
    Object.fromEntries(
      Object.entries(profileClaimsSchema.shape).map(([name, field]) => [
        name,
        field.unwrap().nullable().optional(),
      ]),
    ),
  )
  .meta({ id: 'ProfilePatch', description: 'What changes; `null` removes a claim.' });

export const userSchema = z
  .object({
    id: userId,
    email: z.string(),
    email_verified: z.boolean(),
    status,
    locked_until: z.string().nullable().meta({ description: 'When a lock ends by itself.' }),
    profile,
    created_at: z.string().meta({ format: 'date-time' }),
    updated_at: z.string().meta({ format: 'date-time' }),
  })
  .meta({ id: 'User' });

export const userSummarySchema = userSchema.omit({ profile: true }).meta({ id: 'UserSummary' });

export function presentUser({ user, profile: { claims, updatedAt } }: UserWithProfile) {
  const changedAt = Math.max(user.updatedAt.getTime(), updatedAt?.getTime() ?? 0);
  return { ...presentSummary(user), profile: claims, updated_at: new Date(changedAt).toISOString() };
}

export function presentSummary(user: UserWithProfile['user']) {
  return {
    id: user.id,
    email: user.email,
    email_verified: user.emailVerifiedAt !== null,
    status: user.status,
    locked_until: user.lockedUntil?.toISOString() ?? null,
    created_at: user.createdAt.toISOString(),
    updated_at: user.updatedAt.toISOString(),
  };
}

export const statusSchema = status;

export const EXAMPLE_USER = {
  id: '01938f6b-7a1c-7d5e-9b3a-2f4c6d8e0a1b',
  email: 'ana@example.com',
  email_verified: true,
  status: 'active',
  locked_until: null,
  profile: { name: 'Ana Lima', locale: 'en' },
  created_at: '2026-11-25T10:00:00.000Z',
  updated_at: '2026-11-25T10:00:00.000Z',
};

const { profile: _profile, ...summary } = EXAMPLE_USER;
export const EXAMPLE_SUMMARY = summary;
