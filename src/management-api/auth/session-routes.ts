import Router from '@koa/router';
import { z } from 'zod';
import type { ApiRequestState } from '../../http/caller.ts';
import type { ApiContext } from '../../http/caller.ts';
import { endpoint } from '../../http/endpoint.ts';
import { tenantProviderOf } from '../../oidc/tenant-state.ts';
import { mfaChallengeSchema } from './mfa-challenge.ts';
import type { ApiRequest, ApiSessions } from './api-sessions.ts';
import { EXAMPLE_TOKENS, tokensSchema } from './token-schemas.ts';

/** Signing in and out over the API, for the tenant's first-party app. */

const tag = 'Sign-in';
const scope = z
  .string()
  .trim()
  .min(1)
  .max(1000)
  .optional()
  .meta({ description: 'Separated by blanks. Default: the client’s, or the account of the person.' });
const loginBody = z.strictObject({
  email: z.string().min(1).max(320),
  password: z.string().min(1).max(1024),
  scope,
});
const refreshBody = z.strictObject({ refresh_token: z.string().min(1).max(2048), scope });
const ISSUING = ['auth.not_available', 'auth.client_unsuitable', 'auth.tokens_unavailable'];

export function sessionRoutes({ sessions }: { sessions: ApiSessions }) {
  const router = new Router<ApiRequestState>();

  for (const { path, id, summary } of [
    { path: '/login', id: 'login', summary: 'Sign in with a password' },
    { path: '/token', id: 'token', summary: 'Sign in with a password (alias of login)' },
  ]) {
    router.post(
      path,
      endpoint({
        id,
        summary,
        description:
          'Answers with tokens of the tenant’s first-party client, the same as `/token` issues, or with a challenge when a second factor is due. Guesses are counted together with those on the sign-in page.',
        tag,
        permission: 'public',
        body: loginBody,
        reply: {
          status: 200,
          description: 'Tokens, or what else is due.',
          schema: z.union([tokensSchema, mfaChallengeSchema]),
        },
        errors: [
          ...ISSUING,
          'auth.invalid_credentials',
          'auth.too_many_attempts',
          'auth.password_change_required',
          'auth.scope_not_allowed',
          'auth.account_closed',
          'password.busy',
        ],
        example: {
          body: { email: 'ana@example.com', password: 'correct horse battery staple' },
          reply: EXAMPLE_TOKENS,
        },
        async handle({ ctx, actor, body: { email, password, scope: wanted } }) {
          return { body: await sessions.login(requestOf(ctx), actor, { email, password, scope: wanted }) };
        },
      }),
    );
  }

  router.post(
    '/refresh',
    endpoint({
      id: 'refresh',
      summary: 'Renew tokens',
      description:
        'By the rules of `/token`: every refresh token is used once, one that is used again ends everything issued from the sign-in, and a client that lost the answer may ask again within a few seconds.',
      tag,
      permission: 'public',
      body: refreshBody,
      reply: { status: 200, description: 'New tokens.', schema: tokensSchema },
      errors: [...ISSUING, 'auth.invalid_grant', 'auth.invalid_scope'],
      example: { body: { refresh_token: 'rt_example' }, reply: EXAMPLE_TOKENS },
      async handle({ ctx, body: { refresh_token: refreshToken, scope: wanted } }) {
        return { body: await sessions.refresh(requestOf(ctx), { refreshToken, scope: wanted }) };
      },
    }),
  );

  router.post(
    '/logout',
    endpoint({
      id: 'logout',
      summary: 'Sign out',
      description: 'Ends the session of the token with every token issued from it, on every replica at once.',
      tag,
      permission: 'account:write',
      reply: { status: 204, description: 'Signed out.' },
      errors: [],
      example: {},
      async handle({ ctx, actor }) {
        await sessions.logout(requestOf(ctx), actor);
        return {};
      },
    }),
  );

  return router;
}

function requestOf(ctx: ApiContext): ApiRequest {
  return { tenantProvider: tenantProviderOf(ctx), state: ctx.state };
}
