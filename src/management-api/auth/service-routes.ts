import Router from '@koa/router';
import { z } from 'zod';
import { permissionsOf } from '../../access/can.ts';
import type { AccessService } from '../../access/access-service.ts';
import type { ApiRequestState } from '../../http/caller.ts';
import { endpoint } from '../../http/endpoint.ts';
import { inspectToken } from '../../oidc/access-tokens/inspect-token.ts';
import { apiIdentifier } from '../../oidc/api-resource.ts';
import { tenantProviderOf } from '../../oidc/tenant-state.ts';
import { userId } from '../../users/user-representation.ts';
import type { UserService } from '../../users/user-service.ts';
import { keepsAccess } from '../../users/user.ts';
import { parseTokenClaims, scopesOf, tokenClaimsSchema } from './token-claims.ts';

/** For services that are called with tokens of this server: what a token is worth, and who may do what. */

const tag = 'Checks';
const token = z.string().min(1).max(16_384);
const EXAMPLE_ID = '01938f6b-7a1c-7d5e-9b3a-2f4c6d8e0a1b';

export function serviceRoutes({ access, users }: { access: AccessService; users: UserService }) {
  const router = new Router<ApiRequestState>();

  router.post(
    '/validate',
    endpoint({
      id: 'validateToken',
      summary: 'Check an access token',
      description:
        'Tells whether a token holds, and what it says: for tokens issued to the caller and for those of a resource the caller speaks for. About all others the answer is `active: false`.',
      tag,
      permission: 'tokens:validate',
      clientCredentials: true,
      body: z.strictObject({ token }),
      reply: { status: 200, description: 'What the token says.', schema: tokenClaimsSchema },
      errors: [],
      example: { body: { token: 'at_example' }, reply: { active: false } },
      async handle({ ctx, actor, body }) {
        const inspection = await inspectToken(tenantProviderOf(ctx), body.token, actor.clientId);
        return { body: parseTokenClaims(inspection) };
      },
    }),
  );

  router.post(
    '/authorize',
    endpoint({
      id: 'authorize',
      summary: 'Ask whether somebody may do something',
      description:
        'Of a user: by their roles. Of a token: by its scopes, and for actions of this API by the roles of its user as well; a token that `validate` would not show is allowed nothing.',
      tag,
      permission: 'access:read',
      clientCredentials: true,
      body: z.union([
        z.strictObject({ user_id: userId, action: z.string().min(1).max(128) }),
        z.strictObject({
          token,
          action: z.string().min(1).max(128).meta({ description: 'A scope.' }),
          resource: z.string().max(512).optional().meta({ description: 'The audience the token must have.' }),
        }),
      ]),
      reply: { status: 200, description: 'The decision.', schema: z.object({ allowed: z.boolean() }) },
      errors: ['user.not_found'],
      example: { body: { user_id: EXAMPLE_ID, action: 'account:read' }, reply: { allowed: true } },
      async handle({ ctx, actor, body }) {
        if ('user_id' in body) {
          const user = await users.get(actor, body.user_id);
          const { permissions } = await access.accessOf(actor, user.id);
          const isAllowed = permissions.some((permission) => permission === body.action);
          return { body: { allowed: keepsAccess(user) && isAllowed } };
        }
        const tenantProvider = tenantProviderOf(ctx);
        const claims = parseTokenClaims(await inspectToken(tenantProvider, body.token, actor.clientId));
        const isForResource = body.resource === undefined || claims.aud === body.resource;
        const isOwnApi = claims.aud === apiIdentifier(tenantProvider.context.issuer);
        const hasRole =
          !isOwnApi ||
          claims.roles === undefined ||
          permissionsOf(claims.roles).some((permission) => permission === body.action);
        const allowed = claims.active && isForResource && scopesOf(claims).has(body.action) && hasRole;
        return { body: { allowed } };
      },
    }),
  );

  return router;
}
