import type { CookieJar } from '../cookie-jar.ts';
import { authorizationPath, returning, signIn } from '../target.ts';
import { SIGN_IN_WORKERS, visitorOf, WORKERS } from './row.ts';
import type { Person, Row } from './row.ts';

/** Of each worker, in turn. */
const MOST_BROWSERS = 32;

/** Every page and form of the way, up to the code, in a browser that knows the person's account. Bare checks no password. */
export const passwordSignIn: Row = {
  name: 'sign-in',
  workers: SIGN_IN_WORKERS,
  bound: 'password hash',
  async prepare(target, connection, worker) {
    const path = authorizationPath(target, { scope: 'openid email' });
    const visitors = target.users.length - WORKERS;
    const count = Math.max(1, Math.min(MOST_BROWSERS, Math.floor(visitors / SIGN_IN_WORKERS)));
    const browsers: { person: Person; known: CookieJar }[] = [];
    for (let index = 0; index < count; index += 1) {
      const person = visitorOf(target, worker + index * SIGN_IN_WORKERS);
      const { jar } = await signIn(connection, path, person);
      browsers.push({ person, known: returning(jar) });
    }
    let turn = 0;
    return async () => {
      const browser = browsers[turn % count];
      if (!browser) throw new Error('there is no browser');
      await signIn(connection, path, browser.person, returning(browser.known));
      turn += 1;
    };
  },
};

/** The same in a new browser each time, of which the account's owner is told by mail. */
export const newDeviceSignIn: Row = {
  name: 'sign-in-new-device',
  workers: SIGN_IN_WORKERS,
  only: 'gatehouse',
  bound: 'password hash',
  async prepare(target, connection, worker) {
    const path = authorizationPath(target, { scope: 'openid email' });
    let turn = worker;
    return async () => {
      await signIn(connection, path, visitorOf(target, turn));
      turn += SIGN_IN_WORKERS;
    };
  },
};
