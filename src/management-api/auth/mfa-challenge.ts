import { z } from 'zod';
import type { User } from '../../users/user.ts';

/**
 * What a sign-in answers when the password alone is not enough. Which factor is due, and what proves it, is
 * known to whoever is passed in as `ChallengeFor`.
 */
export const mfaChallengeSchema = z
  .object({
    mfa_required: z.literal(true),
    mfa_token: z.string().meta({ description: 'Opaque; goes with the answer to the challenge.' }),
    factors: z.array(z.string()).meta({ description: 'Those that the person can choose from.' }),
    expires_in: z.number().int().meta({ description: 'Seconds.' }),
  })
  .meta({ id: 'MfaChallenge' });

export type MfaChallenge = z.output<typeof mfaChallengeSchema>;

/** @returns undefined when no further factor is due */
export type ChallengeFor = (user: User) => Promise<MfaChallenge | undefined>;

/** Of a server whose users have no second factor. */
export const noFactorDue: ChallengeFor = async () => undefined;
