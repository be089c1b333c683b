import { expectStatus, UnexpectedAnswer } from '../answer.ts';
import type { Connection } from '../connection.ts';
import { authorizationPath, basicAuth, form, redemption, signIn, tokenRequest } from '../target.ts';
import type { Target } from '../target.ts';
import { personOf, WORKERS } from './row.ts';
import type { Row } from './row.ts';

/** A person's opaque access token, for no API in particular. */
async function accessToken(target: Target, connection: Connection, worker: number): Promise<string> {
  const path = authorizationPath(target, { scope: 'openid email' });
  const { code } = await signIn(connection, path, personOf(target, worker));
  return (await tokenRequest(connection, target, basicAuth(target.web), redemption(code))).access_token;
}

/** What an API asks about an opaque token. */
export const introspection: Row = {
  name: 'introspection',
  workers: WORKERS,
  async prepare(target, connection, worker) {
    const request = {
      method: 'POST',
      path: target.paths.introspection,
      headers: basicAuth(target.web),
      body: form({ token: await accessToken(target, connection, worker) }),
    } as const;
    return async () => {
      const answer = expectStatus(await connection.request(request), 200, 'introspection');
      if (JSON.parse(answer.body).active !== true) throw new UnexpectedAnswer('introspection', answer);
    };
  },
};

export const userinfo: Row = {
  name: 'userinfo',
  workers: WORKERS,
  async prepare(target, connection, worker) {
    const authorization = `Bearer ${await accessToken(target, connection, worker)}`;
    const request = { method: 'GET', path: target.paths.userinfo, headers: { authorization } } as const;
    const { email } = personOf(target, worker);
    return async () => {
      const answer = expectStatus(await connection.request(request), 200, 'userinfo');
      if (JSON.parse(answer.body).email !== email) throw new UnexpectedAnswer('userinfo', answer);
    };
  },
};
