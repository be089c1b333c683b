import { authorizationPath, signIn } from '../target.ts';
import { personOf } from './row.ts';
import type { Row } from './row.ts';

const WORKERS = 8;

/** A new browser and person each time, every page and form of the way, up to the code. Bare checks no password. */
export const passwordSignIn: Row = {
  name: 'sign-in',
  workers: WORKERS,
  bound: 'password hash',
  async prepare(target, connection, worker) {
    const path = authorizationPath(target, { scope: 'openid email' });
    let turn = worker;
    return async () => {
      await signIn(connection, path, personOf(target, turn));
      turn += WORKERS;
    };
  },
};
