import type { Caller } from '../../http/caller.ts';
import { verifyClientSecret } from '../../clients/client-secrets.ts';
import { usesSecret } from '../../clients/client.ts';
import { apiScopesOf } from '../api-resource.ts';
import type { TenantProvider } from '../provider-registry.ts';

/**
 * A service that proves itself with its own secret instead of a token (RFC 6749 §2.3.1). It may do what a
 * token of its own could let it do, and check tokens, as it may at the introspection endpoint.
 * @param credentials the part of the header after `Basic `
 * @throws an error with status 429 after too many wrong secrets
 */
export async function clientOfBasic(
  { context }: TenantProvider,
  credentials: string,
  { ip, now }: { ip: string; now: Date },
): Promise<Omit<Caller, 'ip' | 'userAgent' | 'correlationId'> | undefined> {
  const [clientId, secret] = decodeBasic(credentials) ?? [];
  if (!clientId || secret === undefined) return undefined;
  const { tenant, directory, clientLimits } = context;
  const client = await directory.client(clientId);
  const isRight = await clientLimits.compare(
    { tenantId: tenant.id, clientId, ip },
    () => client !== undefined && usesSecret(client.metadata) && verifyClientSecret(client, secret, now),
  );
  if (!client || !isRight) return undefined;
  return {
    tenantId: tenant.id,
    type: 'client',
    id: clientId,
    clientId,
    scopes: new Set([...apiScopesOf(client), 'tokens:validate']),
    roles: [],
    grantId: undefined,
  };
}

/** @returns id and secret; undefined where there is no pair of them */
export function decodeBasic(credentials: string): [clientId: string, secret: string] | undefined {
  const text = Buffer.from(credentials, 'base64').toString();
  const colon = text.indexOf(':');
  if (colon < 0 || text.includes('\0')) return undefined;
  try {
    return [decodePart(text.slice(0, colon)), decodePart(text.slice(colon + 1))];
  } catch {
    return undefined;
  }
}

/** Form-encoded, as RFC 6749 §2.3.1 has it. */
function decodePart(part: string): string {
  return decodeURIComponent(part.replaceAll('+', '%20'));
}
