import type { Knex } from 'knex';
import { administrators } from '../../src/access/administrators.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { createSetupService } from '../../src/setup/setup-service.ts';
import { createPasswordPolicy } from '../../src/users/password-policy.ts';
import { createUserService } from '../../src/users/user-service.ts';
import { newHasher } from '../users/people.ts';

/** The set-up service as the composition root wires it. */
export function setupOn(db: Knex, now: Clock = systemClock) {
  const hasher = newHasher();
  const passwordPolicy = createPasswordPolicy({ minLength: 15 });
  return createSetupService({
    db,
    now,
    publicUrl: 'https://auth.example',
    usersOn: (trx) =>
      createUserService({
        db: trx,
        now,
        hasher,
        passwordPolicy,
        revokeAccess: async () => {},
        forgetFailures: async () => {},
        tellOwner: async () => {},
      }),
    administrators,
  });
}

export function tokenOf(url: string): string {
  return new URL(url).searchParams.get('token') ?? '';
}
