import type { Client } from '../../clients/client.ts';
import { dateText, details } from '../text.ts';

export const CLIENT_ARGUMENT = ['<client-id>', 'the client_id'] as const;

/** Everything but the secrets themselves, which are not kept. */
export function clientJson(client: Client) {
  return {
    client_id: client.clientId,
    client_name: client.name,
    status: client.disabledAt ? 'disabled' : 'active',
    first_party: client.firstParty,
    default_scope: client.defaultScope,
    default_resource: client.defaultResource,
    metadata: client.metadata,
    secrets: client.secrets.map(({ hint, expiresAt, createdAt }) => ({
      hint,
      expires_at: expiresAt,
      created_at: createdAt,
    })),
    created_at: client.createdAt,
    updated_at: client.updatedAt,
  };
}

export function clientText(client: Client): string {
  const { metadata, secrets: _secrets, ...own } = clientJson(client);
  const secrets = client.secrets.map(({ hint, expiresAt }) =>
    expiresAt ? `${hint}… (expires ${dateText(expiresAt)})` : `${hint}…`,
  );
  return details({ ...own, ...metadata, secrets: secrets.join(', ') });
}

/** With a secret that was just made: the only time it is shown. */
export function clientReport(done: string, { client, secret }: { client: Client; secret?: string }) {
  return {
    json: { ...clientJson(client), ...(secret === undefined ? {} : { client_secret: secret }) },
    text: [
      done,
      clientText(client),
      ...(secret === undefined
        ? []
        : [`client_secret  ${secret}`, 'The secret is shown only now. Keep it safe.']),
    ].join('\n\n'),
  };
}
