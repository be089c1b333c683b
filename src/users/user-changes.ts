import type { Knex } from 'knex';
import type { Db } from '../db/database.ts';
import type { Actor } from '../http/actor.ts';
import type { User } from './user.ts';
import { userError } from './user-errors.ts';
import { userStore } from './user-store.ts';

/**
 * One change of a user at a time, so that of two at once the second sees what the first made.
 * @throws {AppError} (from the returned function) `user.not_found`
 */
export function userChanges(db: Db) {
  return <Result>(
    actor: Actor,
    id: string,
    work: (trx: Knex.Transaction, user: User) => Promise<Result>,
  ): Promise<Result> =>
    db.transaction(async (trx) => {
      const user = await userStore(trx, actor.tenantId).findForUpdate(id);
      if (!user) throw userError('not_found');
      return work(trx, user);
    });
}
