import Provider, { errors } from 'oidc-provider';
import { exportJWK, generateKeyPair } from 'jose';
import { AppError } from '../lib/errors.ts';
import { PROTOCOL } from './configuration/features.ts';
import { SECRET_PLACEHOLDER } from './extensions/clients.ts';

let engine: Promise<Provider> | undefined;

/**
 * Asks the protocol engine whether it would accept a client, so that none is registered that every later
 * request would fail on.
 * @param metadata in the names of RFC 7591, with `client_id`; the secret is not part of it
 * @throws {AppError} `client.invalid` (400) with the engine's reason
 */
export async function checkClientMetadata(metadata: Record<string, unknown>): Promise<void> {
  engine ??= buildEngine();
  const { Client } = await engine;
  try {
    await Client.validate({ client_secret: SECRET_PLACEHOLDER, ...metadata } as never);
  } catch (err) {
    if (!(err instanceof errors.InvalidClientMetadata)) throw err;
    throw new AppError('client.invalid', 400, err.error_description ?? 'The client metadata is invalid.', {
      cause: err,
    });
  }
}

/** Serves nothing; its keys exist so that every algorithm counts as supported. */
async function buildEngine(): Promise<Provider> {
  const keys = await Promise.all(
    ['RS256', 'ES256', 'EdDSA'].map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      return { ...(await exportJWK(privateKey)), alg, use: 'sig' };
    }),
  );
  return new Provider('https://gatehouse.invalid', {
    ...PROTOCOL,
    adapter: () => {
      throw new TypeError('this provider stores nothing');
    },
    jwks: { keys },
    cookies: { keys: ['unused'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
    },
  });
}
