import { timingSafeEqual } from 'node:crypto';
import { newId, newSecret, sha256 } from '../lib/ids.ts';
import type { Client, ClientSecret } from './client.ts';

const HINT_LENGTH = 6;

/** Two, so that a secret can be replaced without a moment in which the application has none that works. */
export const MAX_LIVE_SECRETS = 2;

/** @returns the secret itself, to be shown once, and the row that stays */
export function newClientSecret(now: Date): { secret: string; row: ClientSecret } {
  const secret = secretForCommandLines();
  return {
    secret,
    row: {
      id: newId(now),
      hash: sha256(secret),
      hint: secret.slice(0, HINT_LENGTH),
      expiresAt: null,
      createdAt: now,
    },
  };
}

/** Neither the secret nor its hint may pass for an option where somebody types it. */
function secretForCommandLines(): string {
  let secret = newSecret();
  while (secret.startsWith('-')) secret = newSecret();
  return secret;
}

export function liveSecrets(client: Pick<Client, 'secrets'>, now: Date): ClientSecret[] {
  return client.secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
}

/**
 * Whether the presented text is one of the client's live secrets. Compares hashes in constant time and
 * all of them, so that neither the content nor the position of a match shows.
 */
export function verifyClientSecret(client: Pick<Client, 'secrets'>, presented: string, now: Date): boolean {
  const hash = sha256(presented);
  return liveSecrets(client, now)
    .map((secret) => secret.hash.length === hash.length && timingSafeEqual(secret.hash, hash))
    .includes(true);
}
