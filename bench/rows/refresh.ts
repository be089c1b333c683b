import { RESOURCES, SCOPE } from '../fixtures.ts';
import { authorizationPath, basicAuth, form, redemption, signIn, tokenRequest } from '../target.ts';
import { algOf, personOf, WORKERS } from './row.ts';
import type { Row } from './row.ts';

/** Every worker follows its own chain: the old refresh token in, a new one, a JWT and an ID token out. */
export const refresh: Row = {
  name: 'refresh',
  workers: WORKERS,
  async prepare(target, connection, worker) {
    const headers = basicAuth(target.web);
    const path = authorizationPath(target, { scope: `openid ${SCOPE}`, resource: RESOURCES.rs256 });
    const { code } = await signIn(connection, path, personOf(target, worker));
    let held = (await tokenRequest(connection, target, headers, redemption(code))).refresh_token;
    return async () => {
      if (!held) throw new Error('there is no refresh token');
      const body = form({ grant_type: 'refresh_token', refresh_token: held });
      const tokens = await tokenRequest(connection, target, headers, body);
      if (tokens.refresh_token === held) throw new Error('the refresh token was not rotated');
      if (!tokens.id_token || algOf(tokens.access_token) !== 'RS256')
        throw new Error('not a JWT and an ID token');
      held = tokens.refresh_token;
    };
  },
};
