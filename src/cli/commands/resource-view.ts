import type { Resource } from '../../resources/resource.ts';
import { details, table } from '../text.ts';

export const RESOURCE_ARGUMENT = ['<identifier>', 'its URI, exactly as registered'] as const;

export function resourceJson(resource: Resource) {
  return {
    id: resource.id,
    identifier: resource.identifier,
    name: resource.name,
    scopes: resource.scopes,
    access_token_format: resource.accessTokenFormat,
    access_token_ttl_seconds: resource.accessTokenTtlSeconds,
    signing_alg: resource.signingAlg,
    introspection_client_ids: resource.introspectionClientIds,
    created_at: resource.createdAt,
    updated_at: resource.updatedAt,
  };
}

export function resourceText(resource: Resource): string {
  const { scopes, ...fields } = resourceJson(resource);
  const list = table(
    ['SCOPE', 'DESCRIPTION'],
    scopes.map(({ name, description }) => [name, description]),
  );
  return scopes.length === 0 ? details(fields) : `${details(fields)}\n\n${list}`;
}

export function resourceReport(done: string, resource: Resource) {
  return { json: resourceJson(resource), text: `${done}\n\n${resourceText(resource)}` };
}
