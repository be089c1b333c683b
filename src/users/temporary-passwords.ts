import type { Db } from '../db/database.ts';
import type { Actor } from '../http/actor.ts';
import { passwordError, unacceptablePassword } from './password-errors.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { passwordStore, proofOf } from './password-store.ts';
import type { User } from './user.ts';
import type { UserService } from './user-service.ts';

/**
 * Passwords that an operator gave out (ASVS 5.0 §6.4.6). They are good for one thing: to choose one's own, which
 * the operator does not know. Until then there is neither a session nor a token.
 */
export type TemporaryPasswords = ReturnType<typeof createTemporaryPasswords>;

export interface TemporaryPasswordsDeps {
  db: Db;
  hasher: PasswordHasher;
  usersOn: (db: Db) => Pick<UserService, 'get' | 'preparePassword' | 'storePassword'>;
}

export function createTemporaryPasswords({ db, hasher, usersOn }: TemporaryPasswordsDeps) {
  return {
    /**
     * Puts the person's own password in the place of the temporary one, once.
     * @param request.proof of `PasswordSignIn.verify`: that the person knew the temporary one
     * @throws {AppError} `password.not_temporary` (410), `password.unacceptable`, `password.busy`
     */
    async replace(
      actor: Actor,
      { userId, proof, password }: { userId: string; proof: string; password: string },
    ): Promise<User> {
      const current = await passwordStore(db, actor.tenantId).findTemporary(userId);
      if (!current || proofOf(current) !== proof) throw passwordError('not_temporary');
      if (await hasher.verify(password, current))
        throw unacceptablePassword([{ code: 'password.unchanged' }]);
      const stored = await usersOn(db).preparePassword(actor, userId, password);

      return db.transaction(async (trx) => {
        const users = usersOn(trx);
        // Under the row's lock: of two at once, and of an operator's at the same moment, one comes first.
        const still = await passwordStore(trx, actor.tenantId).findTemporary(userId, { isLocked: true });
        if (!still || proofOf(still) !== proof) throw passwordError('not_temporary');
        const owner: Actor = { ...actor, type: 'user', id: userId };
        // Everything had ended when the temporary one was set.
        await users.storePassword(owner, userId, stored, { keepsAccess: true });
        return users.get(owner, userId);
      });
    },
  };
}
