import { RESOURCES, SCOPE } from '../fixtures.ts';
import { authorizationPath, authorize, basicAuth, redemption, signIn, tokenRequest } from '../target.ts';
import { algOf, personOf, WORKERS } from './row.ts';
import type { Row } from './row.ts';

/** Somebody who is signed in already opens the application: authorization and token request. */
export const codeExchange: Row = {
  name: 'code-exchange',
  workers: WORKERS,
  async prepare(target, connection, worker) {
    const headers = basicAuth(target.web);
    const path = authorizationPath(target, { scope: `openid ${SCOPE}`, resource: RESOURCES.rs256 });
    const { jar } = await signIn(connection, path, personOf(target, worker));
    return async () => {
      const code = await authorize(connection, jar, path);
      const tokens = await tokenRequest(connection, target, headers, redemption(code));
      if (!tokens.id_token || !tokens.refresh_token || algOf(tokens.access_token) !== 'RS256') {
        throw new Error('not a JWT, an ID token and a refresh token');
      }
    };
  },
};
