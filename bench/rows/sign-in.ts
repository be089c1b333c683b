import { authorizationPath, signIn } from '../target.ts';
import { personOf } from './row.ts';
import type { Row } from './row.ts';

/** A new browser each time, every page and form of the way, up to the code. Bare checks no password. */
export const passwordSignIn: Row = {
  name: 'sign-in',
  workers: 8,
  async prepare(target, connection, worker) {
    const path = authorizationPath(target, { scope: 'openid email' });
    const person = personOf(target, worker);
    return async () => {
      await signIn(connection, path, person);
    };
  },
};
