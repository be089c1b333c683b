import type { Client } from 'oidc-provider';
import { findAccount } from '../configuration/accounts.ts';
import type { DirectAnswer } from './direct-answers.ts';

/** RFC 6750 §2.1, with a token that is stored. */
const BEARER = /^Bearer (at_[\w-]+)$/;

/** The claims about a person (OpenID Connect Core §5.3) that the scopes of an opaque bearer token release. */
export const userinfoAnswer: DirectAnswer = async ({ provider, context }, { headers }) => {
  const [, id] = BEARER.exec(headers.authorization ?? '') ?? [];
  if (id === undefined || headers.dpop !== undefined) return undefined;

  const token = await provider.AccessToken.find(id);
  if (!token || token.isExpired || token.isSenderConstrained() || token.aud !== undefined) return undefined;
  // Single claims were asked for.
  if (token.claims?.userinfo !== undefined) return undefined;
  const { scopes, clientId, accountId, grantId } = token;
  if (!scopes.has('openid') || clientId === undefined) return undefined;

  const client = await provider.Client.find(clientId);
  if (!client || !takesPlainClaims(client)) return undefined;
  const account = await findAccount(context, accountId);
  const grant = await provider.Grant.find(grantId, { ignoreExpiration: true });
  if (!account || !grant || grant.isExpired) return undefined;
  if (grant.clientId !== clientId || grant.accountId !== accountId) return undefined;

  const claims = new provider.Claims(await account.claims('userinfo', '', {}, []), { client });
  claims.scope(grant.getOIDCScopeFiltered(scopes));
  claims.rejected(grant.getRejectedOIDCClaims());
  return claims.result();
};

function takesPlainClaims(client: Client): boolean {
  return (
    client.subjectType !== 'pairwise' &&
    client['userinfoSignedResponseAlg'] === undefined &&
    client['userinfoEncryptedResponseAlg'] === undefined
  );
}
