import { errors } from 'oidc-provider';
import type { Client, Configuration, KoaContextWithOIDC, ResourceServer } from 'oidc-provider';
import type { Resource } from '../../resources/resource.ts';
import { apiIdentifier, apiScopesOf } from '../api-resource.ts';
import type { TenantContext } from '../provider-deps.ts';

/** Resource indicators (RFC 8707): which API a token is for decides its format, life, algorithm and scopes. */
export function resourceIndicators({ directory, issuer }: TenantContext) {
  return {
    enabled: true,

    async defaultResource(_ctx: KoaContextWithOIDC, client: Client, oneOf?: readonly string[]) {
      if (oneOf) return oneOf;
      const { defaultResource } = (await directory.client(client.clientId)) ?? {};
      return defaultResource ?? undefined;
    },

    // What was granted at the authorization endpoint need not be named again at the token endpoint.
    useGrantedResource: () => true,

    async getResourceServerInfo(
      _ctx: KoaContextWithOIDC,
      identifier: string,
      client: Client,
    ): Promise<ResourceServer> {
      const resource = await directory.resource(identifier);
      if (!resource) throw new errors.InvalidTarget();
      if (identifier !== apiIdentifier(issuer)) return toResourceServer(resource);
      const scopes = apiScopesOf(await directory.client(client.clientId));
      if (scopes.length === 0) throw new errors.InvalidTarget();
      return { ...toResourceServer(resource), scope: scopes.join(' ') };
    },
  } satisfies NonNullable<Configuration['features']>['resourceIndicators'];
}

function toResourceServer(resource: Resource): ResourceServer {
  const isJwt = resource.accessTokenFormat === 'jwt';
  return {
    audience: resource.identifier,
    scope: resource.scopes.map(({ name }) => name).join(' '),
    accessTokenFormat: resource.accessTokenFormat,
    ...(resource.accessTokenTtlSeconds === null ? {} : { accessTokenTTL: resource.accessTokenTtlSeconds }),
    ...(isJwt ? { jwt: { sign: { alg: resource.signingAlg ?? 'RS256' } } } : {}),
  };
}
