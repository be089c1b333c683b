import { RESOURCES, SCOPE } from '../fixtures.ts';
import { expectStatus, UnexpectedAnswer } from '../answer.ts';
import type { Connection } from '../connection.ts';
import { authorizationPath, basicAuth, redemption, signIn, tokenRequest } from '../target.ts';
import type { Target, Tokens } from '../target.ts';
import { personOf, SIGN_IN_WORKERS, visitorOf, WORKERS } from './row.ts';
import type { Person, Row } from './row.ts';

/** The JSON API, which the bare engine does not have. */

function call(target: Target, path: string, headers: Record<string, string>, body?: object) {
  const base = new URL(target.issuer).pathname.replace(/\/$/, '');
  return {
    method: body ? 'POST' : 'GET',
    path: `${base}/api/v1${path}`,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  } as const;
}

async function logIn(target: Target, connection: Connection, { email, password }: Person): Promise<Tokens> {
  const answer = await connection.request(call(target, '/auth/login', {}, { email, password }));
  const tokens: Tokens = JSON.parse(expectStatus(answer, 200, 'login').body);
  if (!tokens.access_token || !tokens.refresh_token) throw new UnexpectedAnswer('login', answer);
  return tokens;
}

/** Another person each time: password, session, grant, code and tokens. */
export const apiLogin: Row = {
  name: 'api-login',
  workers: SIGN_IN_WORKERS,
  only: 'gatehouse',
  bound: 'password hash',
  async prepare(target, connection, worker) {
    let turn = worker;
    return async () => {
      await logIn(target, connection, visitorOf(target, turn));
      turn += SIGN_IN_WORKERS;
    };
  },
};

export const apiRefresh: Row = {
  name: 'api-refresh',
  workers: WORKERS,
  only: 'gatehouse',
  async prepare(target, connection, worker) {
    let held = (await logIn(target, connection, personOf(target, worker))).refresh_token;
    return async () => {
      const request = call(target, '/auth/refresh', {}, { refresh_token: held });
      const answer = expectStatus(await connection.request(request), 200, 'refresh');
      const tokens: Tokens = JSON.parse(answer.body);
      if (!tokens.refresh_token || tokens.refresh_token === held)
        throw new UnexpectedAnswer('refresh', answer);
      held = tokens.refresh_token;
    };
  },
};

/** What a service asks about a person's JWT: its signature, and whether grant and session live. */
export const apiValidate: Row = {
  name: 'api-validate',
  workers: WORKERS,
  only: 'gatehouse',
  async prepare(target, connection, worker) {
    const headers = basicAuth(target.web);
    const path = authorizationPath(target, { scope: `openid ${SCOPE}`, resource: RESOURCES.rs256 });
    const { code } = await signIn(connection, path, personOf(target, worker));
    const { access_token: token } = await tokenRequest(connection, target, headers, redemption(code));
    const request = call(target, '/auth/validate', headers, { token });
    return async () => {
      const answer = expectStatus(await connection.request(request), 200, 'validate');
      if (JSON.parse(answer.body).active !== true) throw new UnexpectedAnswer('validate', answer);
    };
  },
};

export const apiDashboard: Row = {
  name: 'api-dashboard',
  workers: WORKERS,
  only: 'gatehouse',
  async prepare(target, connection, worker) {
    const { access_token: token } = await logIn(target, connection, personOf(target, worker));
    const headers = { authorization: `Bearer ${token}` };
    const me = expectStatus(await connection.request(call(target, '/auth/me', headers)), 200, 'me');
    const { id }: { id: string } = JSON.parse(me.body).user;
    const request = call(target, `/users/${id}/dashboard`, headers);
    return async () => {
      const answer = expectStatus(await connection.request(request), 200, 'dashboard');
      const { user, recent_activity: recent } = JSON.parse(answer.body);
      if (user.id !== id || !(recent.length > 0)) throw new UnexpectedAnswer('dashboard', answer);
    };
  },
};
