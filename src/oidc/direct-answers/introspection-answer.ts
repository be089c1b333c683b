import type { IncomingMessage } from 'node:http';
import { usesSecret } from '../../clients/client.ts';
import { verifyClientSecret } from '../../clients/client-secrets.ts';
import { requestStateOf } from '../../http/request-state.ts';
import { decodeBasic } from '../access-tokens/client-of-basic.ts';
import { inspectOpaqueToken } from '../access-tokens/inspect-token.ts';
import type { TenantProvider } from '../provider-registry.ts';
import type { DirectAnswer } from './direct-answers.ts';
import { peekForm } from './peek-form.ts';

/** RFC 7617, with nothing that decoders disagree about. */
const BASIC = /^Basic ((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;

const PARAMETERS = new Set(['token', 'token_type_hint']);

/** What a client that proves itself in the header learns of an active opaque or JWT access token (RFC 7662 §2). */
export const introspectionAnswer: DirectAnswer = async (tenantProvider, req) => {
  const form = await peekForm(req);
  const token = form?.['token'];
  if (!form || typeof token !== 'string' || Object.keys(form).some((name) => !PARAMETERS.has(name)))
    return undefined;
  if (form['token_type_hint'] !== undefined && typeof form['token_type_hint'] !== 'string') return undefined;
  const clientId = await authenticatedClient(tenantProvider, req);
  if (clientId === undefined) return undefined;

  const { accessTokens } = tenantProvider;
  const inspection = token.includes('.')
    ? await accessTokens.inspect(await accessTokens.verify(token), clientId)
    : await inspectOpaqueToken(tenantProvider, token, clientId);
  return inspection.active ? inspection : undefined;
};

/** @returns undefined where the engine is to judge, which then counts what is wrong */
async function authenticatedClient(
  { context }: TenantProvider,
  req: IncomingMessage,
): Promise<string | undefined> {
  const [, credentials] = BASIC.exec(req.headers.authorization ?? '') ?? [];
  const [clientId, secret] = (credentials !== undefined && decodeBasic(credentials)) || [];
  if (!clientId || !secret) return undefined;

  const { tenant, directory, clientLimits } = context;
  const { ip } = requestStateOf({ req });
  if (!clientLimits.countsNothing({ tenantId: tenant.id, clientId, ip })) return undefined;
  const client = await directory.client(clientId);
  if (!client || !usesSecret(client.metadata)) return undefined;
  return verifyClientSecret(client, secret, new Date()) ? clientId : undefined;
}
