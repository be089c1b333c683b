import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { later, seconds } from '../lib/clock.ts';
import { usesSecret } from './client.ts';
import type { Client, ClientSecret } from './client.ts';
import { fail } from './client-errors.ts';
import { liveSecrets, MAX_LIVE_SECRETS, newClientSecret } from './client-secrets.ts';
import { clientStore } from './client-store.ts';

/** Both run inside the transaction that holds the client's row lock, so two rotations cannot add a third secret. */

export async function rotateSecret(
  trx: Db,
  actor: Actor,
  client: Client,
  { expireOldAfterSeconds, now }: { expireOldAfterSeconds: number; now: Date },
): Promise<{ client: Client; secret: string }> {
  if (!usesSecret(client.metadata)) throw fail('no_secret');
  const store = clientStore(trx, actor.tenantId);
  await store.removeExpiredSecrets(client.id, now);

  const keepsOld = expireOldAfterSeconds > 0;
  const old = liveSecrets(client, now);
  if (keepsOld && old.length >= MAX_LIVE_SECRETS) throw fail('too_many_secrets');

  const kept: ClientSecret[] = [];
  if (keepsOld) {
    const limit = later(now, seconds(expireOldAfterSeconds));
    for (const secret of old) {
      const expiresAt = secret.expiresAt && secret.expiresAt < limit ? secret.expiresAt : limit;
      await store.expireSecret(secret.id, expiresAt, now);
      kept.push({ ...secret, expiresAt });
    }
  } else {
    await store.removeSecrets(client.id);
  }

  const { secret, row } = newClientSecret(now);
  await store.insertSecret(client.id, row);
  await recordEvent(trx, actor, 'client.secret_rotated', {
    target: { type: 'client', id: client.clientId },
    data: { old_expires_at: kept[0]?.expiresAt ?? null, live: kept.length + 1 },
  });
  return { client: { ...client, secrets: [row, ...kept] }, secret };
}

export async function revokeSecret(
  trx: Db,
  actor: Actor,
  client: Client,
  { hint, now }: { hint: string; now: Date },
): Promise<Client> {
  const live = liveSecrets(client, now);
  const secret = live.find((candidate) => candidate.hint === hint);
  if (!secret) throw fail('secret_not_found');
  await clientStore(trx, actor.tenantId).removeSecret(secret.id);
  await recordEvent(trx, actor, 'client.secret_revoked', {
    target: { type: 'client', id: client.clientId },
    data: { live: live.length - 1 },
  });
  return { ...client, secrets: live.filter(({ id }) => id !== secret.id) };
}
