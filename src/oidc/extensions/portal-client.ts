import type { Client } from '../../clients/client.ts';

/**
 * The account portal as a client of its own tenant, so that people sign in to it, and prove again who they
 * are, exactly as for every other app. It never redeems the code it gets: it reads the session itself, as the
 * sign-in pages do, so there are no tokens in the browser and none to steal.
 */
export const PORTAL_CLIENT_ID = 'gatehouse-account';
export const PORTAL_PATH = '/account';
export const PORTAL_RETURN_PATH = `${PORTAL_PATH}/signed-in`;

/** The same for as long as the issuer is. */
const MADE_AT = new Date(0);

export function portalClient(issuer: string): Client {
  return {
    id: PORTAL_CLIENT_ID,
    clientId: PORTAL_CLIENT_ID,
    // Screens say it in the reader's language.
    name: 'Your account',
    metadata: {
      application_type: 'web',
      redirect_uris: [`${issuer}${PORTAL_RETURN_PATH}`],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'none',
      client_uri: `${issuer}${PORTAL_PATH}`,
    },
    firstParty: true,
    defaultScope: null,
    defaultResource: null,
    disabledAt: null,
    secrets: [],
    createdAt: MADE_AT,
    updatedAt: MADE_AT,
  };
}
